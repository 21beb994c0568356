"""train.py as a user runs it: both steps on a small set, resumed, killed, misused."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from bayesdl_sim.commands import train
from bayesdl_sim.data.sets.datasets import Patches
from bayesdl_sim.models.bayesdl import build_network, network_config
from bayesdl_sim.models.released import released_state
from bayesdl_sim.training import step1
from bayesdl_sim.training.objective import energy_gradient
from bayesdl_sim.utils.checkpoints import list_members, load_checkpoint
from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.files import read_json
from bayesdl_sim.utils.run_log import EpochLog

ROOT = Path(__file__).parents[1]
PATCHES = ["--patch_size", "24", "--batch_size", "4", "--val_stacks", "1"]
SMALL = ["--n_feat", "4", "--levels", "2", "--nBlocks", "1", *PATCHES]
STEP_1 = ["--epoch", "6", "--burn_in", "0.34", "--cycles", "2", "--precision", "fp32", *SMALL]
STEP_2 = ["--train_type", "uncertainty_tail", "--likehood", "gauss", "--SGLD", "False", *PATCHES]


def options(root: Path, folder: Path, *more: str) -> list[str]:
    place = ["--root_dir", str(root), "--save_model_dir", str(folder), "--device", "cpu"]
    return [*place, *more]


def run_folder(folder: Path) -> Path:
    return folder / "F-actin" / "BayesDL-SIM"


def trunk(path: Path) -> dict[str, torch.Tensor]:
    state = load_checkpoint(path)["state"]
    return {name: value for name, value in state.items() if name.startswith("trunk.")}


def equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.fixture(scope="module")
def trained(small_set, tmp_path_factory):
    """Step 1, the trunks it left, then step 2."""
    folder = tmp_path_factory.mktemp("trained")
    train.main(options(small_set, folder, *STEP_1))
    before = [trunk(path) for path in list_members(run_folder(folder))]
    train.main(options(small_set, folder, *STEP_2, "--epoch", "2"))
    return run_folder(folder), before


def test_members_are_stored_with_their_sampler(trained):
    folder, _ = trained
    members = [load_checkpoint(path) for path in list_members(folder)]
    assert len(members) == 4  # two cycles of two
    for member in members:
        assert member["sampler"]["kind"] == "sgld"
        assert member["sampler"]["temperature"] == 1.0
        assert member["sampler"]["num_data"] == 4 * 2 * 96 * 96  # training cells, levels, pixels
        assert member["network"]["options"]["width"] == 4
    assert not equal(trunk(list_members(folder)[0]), trunk(list_members(folder)[1]))


def test_step_2_leaves_the_trunk_bit_identical(trained):
    folder, before = trained
    for path, old in zip(list_members(folder), before, strict=True):
        assert equal(trunk(path), old)
        assert any(name.startswith("tail.") for name in load_checkpoint(path)["state"])


def test_run_folder_says_what_was_done(trained):
    folder, _ = trained
    config = read_json(folder / "config.json")
    assert config["step 1"]["settings"]["sampler"]["epoch"] == 6
    assert config["step 2"]["settings"]["tail"]["likelihood"] == "gauss"
    with open(folder / "step1.csv", newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert [int(row["epoch"]) for row in rows] == list(range(6))
    assert {"loss", "psnr", "ssim", "lr", "temperature"} <= set(rows[0])
    # noise only while sampling
    assert float(rows[0]["temperature"]) == 0.0
    assert float(rows[-1]["temperature"]) == 1.0


def test_resumed_run_equals_an_uninterrupted_one(small_set, tmp_path, trained, monkeypatch):
    """Interrupted in each phase: burn-in, sampling; members are scored by `validate` too."""
    for stop in (1, 4, 8):
        real = step1.validate
        calls = []

        def interrupted(*args, real=real, calls=calls, stop=stop):
            calls.append(1)
            if len(calls) == stop + 1:
                raise KeyboardInterrupt
            return real(*args)

        folder = tmp_path / str(stop)
        monkeypatch.setattr(step1, "validate", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train.main(options(small_set, folder, *STEP_1))
        monkeypatch.setattr(step1, "validate", real)
        train.main(options(small_set, folder, *STEP_1, "--resume"))
        whole = [trunk(path) for path in list_members(trained[0])]
        pieces = [trunk(path) for path in list_members(run_folder(folder))]
        assert len(whole) == len(pieces)
        assert all(equal(a, b) for a, b in zip(whole, pieces, strict=True))


def test_resumed_tail_equals_an_uninterrupted_one(small_set, tmp_path, trained, monkeypatch):
    train.main(options(small_set, tmp_path, *STEP_1))
    real, calls = EpochLog.write, []

    def interrupted(self, epoch, values):
        calls.append(1)
        if len(calls) == 4:  # second member, second epoch
            raise KeyboardInterrupt
        real(self, epoch, values)

    monkeypatch.setattr(EpochLog, "write", interrupted)
    tail = options(small_set, tmp_path, *STEP_2, "--epoch", "2", "--precision", "fp32")
    with pytest.raises(KeyboardInterrupt):
        train.main(tail)
    monkeypatch.setattr(EpochLog, "write", real)
    train.main([*tail, "--resume"])
    other = tmp_path / "other"
    train.main(options(small_set, other, *STEP_1))
    train.main(options(small_set, other, *STEP_2, "--epoch", "2", "--precision", "fp32"))
    for a, b in zip(
        list_members(run_folder(tmp_path)), list_members(run_folder(other)), strict=True
    ):
        assert equal(load_checkpoint(a)["state"], load_checkpoint(b)["state"])


def test_released_backbone_trains_in_both_steps(small_set, tmp_path):
    sizes = ["--n_feat", "4", "--nGroups", "1", "--nBlocks", "1", "--backbone", "rcan"]
    patches = ["--patch_size", "16", "--batch_size", "4", "--val_stacks", "1", "--epoch", "1"]
    train.main(options(small_set, tmp_path, *sizes, *patches, "--SGLD", "False"))
    (path,) = list_members(run_folder(tmp_path))
    before = trunk(path)
    step_2 = ["--train_type", "uncertainty_tail", "--likehood", "student"]
    train.main(options(small_set, tmp_path, *patches, *step_2))
    member = load_checkpoint(path)
    stored = {"in_channels": 9, "width": 4, "groups": 1, "blocks": 1}
    assert member["network"]["options"] == stored
    assert member["network"]["likelihood"] == "student"
    assert equal(trunk(path), before)


def test_sizes_depend_on_the_backbone():
    unet, rcan = (train.parse_args(words).network for words in ([], ["--backbone", "rcan"]))
    assert (unet.n_feat, unet.levels, unet.nBlocks) == (32, 3, 2)
    assert (rcan.n_feat, rcan.nGroups, rcan.nBlocks) == (64, 5, 10)
    with pytest.raises(InputError, match="nGroups: not for the backbone unet.* rcan or dfcan"):
        train.parse_args(["--nGroups", "5", "--backbone", "unet"])
    assert (
        train.parse_args(["--nGroups", "5"]).network.backbone == "rcan"
    )  # as the released scripts mean
    assert train.parse_args(["--model", "DFCAN"]).network.backbone == "dfcan"


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_killed_run_resumes(small_set, tmp_path):
    command = [sys.executable, "train.py", *options(small_set, tmp_path, *STEP_1), "--epoch", "400"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, **silent)
    latest = run_folder(tmp_path) / "latest.pth"
    deadline = time.time() + 120
    while not latest.is_file() and time.time() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert load_checkpoint(latest)["progress"]["epoch"] >= 1
    assert not list(run_folder(tmp_path).glob("*.partial.pth")) or load_checkpoint(latest)


def test_step_2_without_members_names_folder_and_command(small_set, tmp_path):
    with pytest.raises(InputError, match=r"BayesDL-SIM holds none.*train\.py --model BayesDL"):
        train.main(options(small_set, tmp_path, *STEP_2))


def test_second_run_does_not_mix_its_members_with_the_first(small_set, tmp_path, trained):
    with pytest.raises(InputError, match="with resume"):
        train.main(options(small_set, trained[0].parents[1], *STEP_1))


def test_divergence_stops_with_a_message(small_set, tmp_path):
    diverging = options(small_set, tmp_path, *STEP_1, "--lr", "1e12", "--burn_in", "1")
    with pytest.raises(InputError, match="diverged"):
        train.main(diverging)


def test_temperature_is_chosen_among_several_and_stored(small_set, tmp_path):
    several = ["--temperature", "1", "1e9", "--trial_steps", "8"]
    train.main(options(small_set, tmp_path, *STEP_1, *several))
    record = read_json(run_folder(tmp_path) / "temperature.json")
    assert record["taken"] == 1.0  # 1e9 destroys the network
    assert load_checkpoint(list_members(run_folder(tmp_path))[0])["sampler"]["temperature"] == 1.0


@pytest.mark.parametrize(("temperature", "warns"), [("1", False), ("1e4", True)])
def test_noise_that_spoils_the_members_is_named(small_set, tmp_path, capsys, temperature, warns):
    """Noise grows with temperature / target pixels; at 1e4 these members lose the image."""
    train.main(options(small_set, tmp_path, *STEP_1, "--temperature", temperature))
    assert ("the noise of the sampler costs the members" in capsys.readouterr().out) == warns


def test_a_part_of_a_set_is_not_taken_for_the_set(small_set, tmp_path):
    with pytest.raises(InputError, match="Raw is a part of a data set"):
        train.main(options(small_set / "Raw", tmp_path, *STEP_1))


def test_point_estimate_and_fine_tuning(small_set, tmp_path, trained):
    start = ["--init_from", str(trained[0]), "--SGLD", "False", "--epoch", "1", "--lr", "1e-12"]
    train.main(options(small_set, tmp_path, *start, *SMALL))
    members = list_members(run_folder(tmp_path))
    assert len(members) == 1
    first = trunk(list_members(trained[0])[0])
    assert all(torch.allclose(v, first[k], atol=1e-6) for k, v in trunk(members[0]).items())


def test_stopped_run_keeps_its_state_and_goes_on(small_set, tmp_path, trained):
    train.main(options(small_set, tmp_path, *STEP_1, "--stop_after", "3"))
    assert not list(run_folder(tmp_path).glob("member_*.pth"))  # nothing was sampled yet
    train.main(options(small_set, tmp_path, *STEP_1, "--resume"))
    whole = [trunk(path) for path in list_members(trained[0])]
    pieces = [trunk(path) for path in list_members(run_folder(tmp_path))]
    assert all(equal(a, b) for a, b in zip(whole, pieces, strict=True))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--train_type", "uncertainty_tail"], "needs a likelihood"),
        (["--likehood", "gauss"], "belongs to step 2"),
        (["--root_dir", "nowhere"], "no data set"),
        (["--patch_size", "4096"], "smaller patch"),
        (["--epoch", "0"], "epoch: expected a positive number"),
        (["--device", "tpu"], "device: expected auto"),
        (["--epoch", "2"], "epoch: after the burn-in, each of the 4 cycles has 2 step"),
        (["--epoch", "6", "--explore", "0"], "0 of them without noise"),
    ],
)
def test_mistakes_end_in_one_line(small_set, tmp_path, more, message):
    with pytest.raises(InputError, match=message):
        train.main(options(small_set, tmp_path, *SMALL, *more))


def test_original_commands_are_understood():
    first = train.parse_args(
        ["--model", "BayesDL", "--train_type", "", "--likehood", "", "--SGLD", "True"]
    )
    assert first.sampler.posterior == "sgld"
    words = "--model BayesDL --train_type uncertainty_tail --likelihood gauss --sgld False"
    second = train.parse_args([*words.split(), "--epoch", "300"])
    assert (second.tail.likelihood, second.tail.epoch) == ("gauss", 300)


# --- other frames, other posteriors --------------------------------------------------------------


def predict_folder(folder: Path, stack: Path, results: Path, *more: str) -> dict:
    """test.py on a folder of members, in a process of its own; prediction.json."""
    words = ["test.py", "--test_data", stack, "--pretrained_G", folder, "--save_path", results]
    command = [sys.executable, *map(str, words), "--device", "cpu", *more]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(done.stderr)
    return read_json(results / "prediction.json")


@pytest.mark.parametrize(
    ("words", "folder", "stored", "wrong"),
    [
        (["--input_frames", "1,2,3"], "BayesDL-SIM", [1, 2, 3], ["--input_frames", "4,5,6"]),
        (["--SISR_or_SIM", "SISR"], "BayesDL-SISR", [], ["--SISR_or_SIM", "SIM"]),
    ],
)
def test_chosen_frames_are_stored_and_checked(small_set, tmp_path, words, folder, stored, wrong):
    point = ["--SGLD", "False", "--epoch", "1", *SMALL, *words]
    train.main(options(small_set, tmp_path, *point))
    train.main(options(small_set, tmp_path, *STEP_2, *words, "--epoch", "1"))
    members = tmp_path / "F-actin" / folder
    network = load_checkpoint(list_members(members)[0])["network"]
    assert network["inputs"] == {"frames": stored, "first_guess": False}
    assert network["options"]["in_channels"] == 1 + len(stored)
    stack = small_set / "Raw" / "cell_6" / "level_2"
    facts = predict_folder(members, stack, tmp_path / "results", *words)
    assert facts["checkpoint"]["network"] == network
    assert "Aleatoric" in facts["channels"]
    with pytest.raises(InputError, match="were trained on the wide field"):
        predict_folder(members, stack, tmp_path / "refused", *wrong)
    changed = [*point[:-2], "--init_from", str(members), *wrong]
    with pytest.raises(InputError, match="were trained on the wide field"):
        train.main(options(small_set, tmp_path / "more", *changed))


KINDS = {
    "ensemble": ["--posterior", "ensemble", "--members", "3", "--epoch", "4"],
    "mc_dropout": [
        "--posterior",
        "mc_dropout",
        "--members",
        "3",
        "--epoch",
        "2",
        "--drop2d",
        "0.5",
    ],
    "released": ["--posterior", "released", "--period", "2", "--epoch", "4", "--lr", "1e-3"],
}


@pytest.mark.curves
@pytest.mark.parametrize("kind", list(KINDS))
def test_every_posterior_gives_members_that_differ(small_set, tmp_path, kind):
    train.main(options(small_set, tmp_path, *SMALL, *KINDS[kind]))
    train.main(options(small_set, tmp_path, *STEP_2, "--epoch", "1"))
    paths = list_members(run_folder(tmp_path))
    members = [load_checkpoint(path) for path in paths]
    assert [member["sampler"]["kind"] for member in members] == [kind] * len(paths)
    assert len(paths) == (2 if kind == "released" else 3)
    stack = small_set / "Raw" / "cell_6" / "level_2"
    facts = predict_folder(run_folder(tmp_path), stack, tmp_path / "results")
    assert {"Epistemic", "Aleatoric"} <= set(facts["channels"])
    if kind == "mc_dropout":  # one network, several masks
        assert equal(trunk(paths[0]), trunk(paths[2]))
        assert len({member["sampler"]["seed"] for member in members}) == 3
        assert members[0]["network"]["options"]["drop2d"] == 0.5
    else:
        assert not equal(trunk(paths[0]), trunk(paths[1]))
    assert len({member["training"]["psnr"] for member in members}) == len(paths)
    assert (run_folder(tmp_path) / "summary.png").stat().st_size > 20_000


def test_an_ensemble_shares_the_budget_and_resumes(small_set, tmp_path, monkeypatch):
    """Seven networks of four epochs: turns begin and end within the epochs."""
    words = [*SMALL, "--posterior", "ensemble", "--members", "7", "--epoch", "4"]
    words += ["--precision", "fp32"]
    whole, pieces = tmp_path / "whole", tmp_path / "pieces"
    train.main(options(small_set, whole, *words))
    train.main(options(small_set, pieces, *words, "--stop_after", "2"))
    train.main(options(small_set, pieces, *words, "--resume"))
    a, b = (list_members(run_folder(folder)) for folder in (whole, pieces))
    assert len(a) == len(b) == 7
    assert all(equal(trunk(x), trunk(y)) for x, y in zip(a, b, strict=True))
    with open(run_folder(whole) / "step1_steps.csv", newline="") as handle:
        steps = list(csv.DictReader(handle))
    ends = [load_checkpoint(path)["training"]["step"] for path in a]
    assert ends == [(k + 1) * len(steps) // 7 for k in range(7)]


def test_dropout_resumes_bit_by_bit(small_set, tmp_path):
    words = [*SMALL, *KINDS["mc_dropout"], "--drop", "0.2", "--precision", "fp32"]
    whole, pieces = tmp_path / "whole", tmp_path / "pieces"
    train.main(options(small_set, whole, *words))
    train.main(options(small_set, pieces, *words, "--stop_after", "1"))
    train.main(options(small_set, pieces, *words, "--resume"))
    a, b = (list_members(run_folder(folder))[0] for folder in (whole, pieces))
    assert equal(trunk(a), trunk(b))


def test_step_2_takes_the_members_of_another_folder(small_set, tmp_path, trained):
    other = ["--pretrained_G", str(trained[0]), "--epoch", "1"]
    before = {path.name: path.read_bytes() for path in list_members(trained[0])}
    train.main(options(small_set, tmp_path, *STEP_2, *other))
    assert {path.name: path.read_bytes() for path in list_members(trained[0])} == before
    for path in list_members(run_folder(tmp_path)):
        assert equal(trunk(path), trunk(trained[0] / path.name))
        assert load_checkpoint(path)["network"]["likelihood"] == "gauss"
    with pytest.raises(InputError, match="with resume"):
        train.main(options(small_set, tmp_path, *STEP_2, *other))


def test_step_2_has_a_validation_curve(trained):
    with open(trained[0] / "step2.csv", newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert len(rows) == 4 * 2  # members, epochs
    assert all(abs(float(row["validation_nll"])) < 20 for row in rows)


def test_starts_from_a_released_file(small_set, tmp_path):
    network = build_network(network_config("rcan", "gauss", width=8, groups=1, blocks=1), seed=3)
    path = tmp_path / "SGLD_gauss_#1.pth"
    torch.save(released_state(network), path)
    words = ["--init_from", str(path), "--SGLD", "False", "--epoch", "1", "--lr", "1e-12", *SMALL]
    train.main(options(small_set, tmp_path, *words))
    (member,) = list_members(run_folder(tmp_path))
    expected = {f"trunk.{k}": v for k, v in network.trunk.state_dict().items()}
    assert all(torch.allclose(v, expected[k], atol=1e-6) for k, v in trunk(member).items())
    with pytest.raises(InputError, match="smallest and largest count"):
        train.main(options(small_set, tmp_path, *STEP_2, "--pretrained_G", str(path)))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--first_guess", "True", "--SISR_or_SIM", "SISR"], "all nine frames"),
        (["--input_frames", "1,2,12"], "numbers from 1 to 9"),
        (["--sr_scale", "3"], "only 2 exists"),
        (["--drop", "1.5"], "drop: expected a share"),
        (["--drop", "0.1", "--backbone", "dfcan"], "no dropout"),
        (["--posterior", "mc_dropout", "--drop2d", "0"], "needs drop"),
        (["--posterior", "ensemble", "--sampler", "released"], "disagree"),
        (["--posterior", "released", "--SGLD", "False"], "point estimate"),
    ],
)
def test_contradictions_are_refused(words, message):
    with pytest.raises(InputError, match=message):
        train.parse_args(words)


def test_options_of_the_released_script_are_understood_or_named(capsys):
    words = "--num_workers 4 --act relu --CA_type CA --mfvi False --augs False --start_epoch 1"
    words += " --mse_lambda 0 --adv_lambda 0 --sgld True --gpu_id 0,1 --sr_scale 2 --drop 0"
    words += " --input_frames 1,2,3,4,5,6,7,8,9 --SISR_or_SIM SIM --n_feat 64 --nGroups 5"
    settings = train.parse_args(words.split())
    assert settings.sampler.posterior == "sgld"
    assert settings.network.backbone == "rcan"
    assert settings.run.gpu_id == 0
    printed = capsys.readouterr().out
    for name in ("num_workers", "act", "CA_type", "mfvi", "augs", "start_epoch", "mse_lambda"):
        assert f"--{name} " in printed
    assert train.parse_args(["--sampler", "released"]).sampler.posterior == "released"
    assert train.parse_args(["--input_frames", ""]).input.SISR_or_SIM == "SISR"


# ----------------------------------------------------------------------- prior on functions


def test_outliers_take_part_in_step_1_and_their_gain_is_stored(small_set, outlier_set, tmp_path):
    prior = ["--outlier_dir", str(outlier_set), "--outlier_gain", "-0.5"]
    words = [*SMALL, "--epoch", "3", "--burn_in", "0.3", "--cycles", "2", "--precision", "fp32"]
    whole, pieces, without = tmp_path / "whole", tmp_path / "pieces", tmp_path / "without"
    train.main(options(small_set, whole, *words, *prior))
    train.main(options(small_set, pieces, *words, *prior, "--stop_after", "1"))
    changed = [*prior[:-1], "0.5"]
    with pytest.raises(InputError, match="outlier_gain -0.5, now it is 0.5"):
        train.main(options(small_set, pieces, *words, *changed, "--resume"))
    train.main(options(small_set, pieces, *words, *prior, "--resume"))
    train.main(options(small_set, without, *words, "--stop_after", "1"))
    with pytest.raises(InputError, match="outlier_dir None, now it is sha256"):
        train.main(options(small_set, without, *words, *prior, "--resume"))
    train.main(options(small_set, without, *words, "--resume"))
    first = [list_members(run_folder(folder))[0] for folder in (whole, pieces, without)]
    assert load_checkpoint(first[0])["sampler"]["outlier_gain"] == -0.5
    assert "outlier_gain" not in load_checkpoint(first[2])["sampler"]
    assert equal(trunk(first[0]), trunk(first[1]))
    assert not equal(trunk(first[0]), trunk(first[2]))


def test_energy_with_outliers_is_the_sum_of_both():
    settings = train.parse_args(["--outlier_dir", "any", "--outlier_gain", "0.5"])
    run = SimpleNamespace(settings=settings, device=torch.device("cpu"), dtype=torch.float32)
    network = build_network(network_config("unet", "", None, width=4, levels=2, blocks=1), seed=0)
    generator = torch.Generator().manual_seed(0)
    pairs = [
        Patches(
            torch.rand(n, 9, 16, 16, generator=generator),
            torch.rand(n, 1, 32, 32, generator=generator),
        )
        for n in (2, 3)
    ]
    brighter = pairs[1]._replace(target=1.5 * pairs[1].target)
    alone = [energy_gradient(run, network, p, None, "") for p in (pairs[0], brighter)]
    total = energy_gradient(run, network, *pairs, "")
    assert total == pytest.approx(sum(alone), rel=1e-5)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--outlier_gain", "0.3"], "need an outlier_dir"),
        (["--outlier_dir", "any", "--outlier_gain", "-1"], "above -1"),
        (["--outlier_dir", "any", "--outlier_batch_size", "0"], "expected a positive number"),
        (["--outlier_dir", "any", *STEP_2], "belongs to step 1"),
    ],
)
def test_options_of_outliers_that_mean_nothing_are_refused(words, message):
    with pytest.raises(InputError, match=message):
        train.parse_args(words)


def test_a_folder_without_outliers_is_named(small_set, tmp_path):
    with pytest.raises(InputError, match="no data set in .*nowhere"):
        train.main(options(small_set, tmp_path, *SMALL, "--outlier_dir", str(tmp_path / "nowhere")))
