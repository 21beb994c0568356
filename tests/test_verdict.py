"""test.py and its gate: a wrong stack is refused with its reason, and only --force goes on."""

import json
import runpy
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

from bayesdl_sim.bayes.change import marked, predict_series
from bayesdl_sim.data.formats.tiff import read_tiff
from bayesdl_sim.data.normalise import normalisation_of
from bayesdl_sim.inference.judging.gate import SCORES, write_gate
from bayesdl_sim.models.bayesdl import build_network, member_payload, network_config
from bayesdl_sim.models.members import hashes_of, open_members
from bayesdl_sim.physics.patterns.measured import measured
from bayesdl_sim.physics.reconstruction.resimulation import resimulate_field
from bayesdl_sim.utils.checkpoints import member_path, save_checkpoint
from bayesdl_sim.utils.errors import run_script

ROOT = Path(__file__).resolve().parents[1]
CRISTAE = ROOT / "data" / "cristae" / "raw.tif"
PHASE_MAJOR = [0, 3, 6, 1, 4, 7, 2, 5, 8]

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def script():
    return runpy.run_path(str(ROOT / "test.py"))["main"]


@pytest.fixture
def posterior(tmp_path):
    """Two members of a tiny network."""
    folder = tmp_path / "members"
    config = network_config("unet", "gauss", in_channels=9, width=4, levels=2, blocks=1)
    for index in (1, 2):
        payload = member_payload(build_network(config, seed=index), {}, {})
        save_checkpoint(member_path(folder, index), payload)
    return folder


@pytest.fixture
def doubled(tmp_path):
    """A stack whose last exposure is stored twice; no other order of the frames cures that."""
    path = tmp_path / "doubled.tif"
    tifffile.imwrite(path, tifffile.imread(CRISTAE)[[0, 1, 2, 3, 4, 5, 6, 8, 8]])
    return path


def call(script, posterior, source, results, *more):
    words = ["--test_data", source, "--save_path", results, "--pretrained_G", posterior]
    script([str(word) for word in [*words, "--device", "cpu", "--precision", "fp32", *more]])


def verdict_in(results):
    return json.loads((results / "prediction.json").read_text(encoding="utf-8"))["verdict"]


def test_real_stack_is_accepted_and_the_verdict_is_stored(script, posterior, tmp_path, capsys):
    members = hashes_of([member.facts for member in open_members(posterior)])
    rng = np.random.default_rng(0)
    rows = [{name: 1e6 + float(rng.normal()) for name in SCORES} for _ in range(40)]
    write_gate(posterior, [rows], members, {})
    call(script, posterior, CRISTAE, tmp_path / "out")
    assert "verdict: accept (p = 1.000: scores as those of good stacks" in capsys.readouterr().out
    expected = {"decision": "accept", "p_value": 1.0, "reasons": [], "forced": False}
    assert verdict_in(tmp_path / "out") == expected


def test_nothing_is_accepted_without_a_gate(script, posterior, tmp_path, capsys):
    call(script, posterior, CRISTAE, tmp_path / "out")
    printed = capsys.readouterr().out
    assert "no gate.json of these very members" in printed
    assert "verdict: not judged: the raw frames show no fault" in printed
    assert verdict_in(tmp_path / "out")["decision"] == "not judged"


def test_doubled_frames_are_refused_with_the_reason(script, posterior, doubled, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        run_script(lambda: call(script, posterior, doubled, tmp_path / "out"))
    assert ended.value.code == 2
    printed = capsys.readouterr()
    assert "verdict: refuse: frames" in printed.out
    assert printed.err.count("\n") == 1
    assert "frames 8 and 9 are copies of one exposure" in printed.err
    assert "--force" in printed.err
    assert list((tmp_path / "out").glob("[!.]*")) == []


def test_force_writes_what_was_refused_and_says_so(script, posterior, doubled, tmp_path):
    call(script, posterior, doubled, tmp_path / "out", "--force")
    verdict = verdict_in(tmp_path / "out")
    assert (verdict["decision"], verdict["forced"]) == ("refuse", True)
    assert (tmp_path / "out" / "SR.tif").is_file()


def test_one_wide_field_nine_times_is_refused(script, posterior, tmp_path, capsys):
    frames = tifffile.imread(CRISTAE)
    tifffile.imwrite(tmp_path / "wide.tif", np.repeat(frames.mean(0, keepdims=True), 9, axis=0))
    with pytest.raises(SystemExit):
        run_script(lambda: call(script, posterior, tmp_path / "wide.tif", tmp_path / "out"))
    assert "copies of one exposure" in capsys.readouterr().err


def test_refused_stack_does_not_stop_the_others(script, posterior, doubled, tmp_path, capsys):
    stacks = tmp_path / "stacks"
    stacks.mkdir()
    tifffile.imwrite(stacks / "good.tif", tifffile.imread(CRISTAE))
    doubled.rename(stacks / "doubled.tif")
    with pytest.raises(SystemExit) as ended:
        run_script(lambda: call(script, posterior, stacks, tmp_path / "out"))
    assert ended.value.code == 2
    assert "1 of 2 stacks" in capsys.readouterr().err
    assert verdict_in(tmp_path / "out" / "good")["decision"] == "not judged"
    assert not (tmp_path / "out" / "doubled" / "SR.tif").exists()


def test_refused_time_point_refuses_the_series(script, posterior, tmp_path, capsys):
    good = tifffile.imread(CRISTAE)
    tifffile.imwrite(tmp_path / "series.tif", np.concatenate([good, good[PHASE_MAJOR]]))
    with pytest.raises(SystemExit):
        run_script(lambda: call(script, posterior, tmp_path / "series.tif", tmp_path / "out"))
    assert "show the same fringes" in capsys.readouterr().err


def test_scores_are_compared_with_the_gate_of_these_members(script, posterior, tmp_path, capsys):
    members = hashes_of([member.facts for member in open_members(posterior)])
    rng = np.random.default_rng(0)
    # Validation cells that no stack is like: the scores of all of them are far lower.
    rows = [{name: -1e6 + float(rng.normal()) for name in SCORES} for _ in range(40)]
    write_gate(posterior, [rows], members, {})
    call(script, posterior, CRISTAE, tmp_path / "out")
    assert "verdict: warn (p = 0.024: at most 2 in 100 good stacks" in capsys.readouterr().out
    verdict = verdict_in(tmp_path / "out")
    assert verdict["p_value"] == pytest.approx(1 / 41)
    assert set(verdict["reasons"]) <= set(SCORES.values())
    call(script, posterior, CRISTAE, tmp_path / "one", "--members", "1")
    assert "no gate.json of these very members" in capsys.readouterr().out
    assert verdict_in(tmp_path / "one")["p_value"] is None
    assert verdict_in(tmp_path / "one")["decision"] == "not judged"


def test_small_field_is_not_judged(script, posterior, tmp_path, capsys):
    tifffile.imwrite(tmp_path / "small.tif", tifffile.imread(CRISTAE)[:, :40, :50])
    call(script, posterior, tmp_path / "small.tif", tmp_path / "out")
    assert "verdict: not judged: the field has less than 64 pixels" in capsys.readouterr().out
    assert verdict_in(tmp_path / "out")["decision"] == "not judged"


def test_maps_of_the_misfit_are_of_the_raw_grid_and_go_with_the_option(script, posterior, tmp_path):
    results, frames = tmp_path / "out", tifffile.imread(CRISTAE)
    call(script, posterior, CRISTAE, results, "--misfit")
    sr = torch.from_numpy(tifffile.imread(results / "SR.tif").astype(np.float32))
    resimulated = resimulate_field(torch.from_numpy(frames.astype(np.float32)), sr)
    for name, expected in (("Contradicted", resimulated.invented), ("Misfit", resimulated.chi2)):
        image, pixel_size_nm = read_tiff(results / f"{name}.tif")
        assert pixel_size_nm == pytest.approx(65.0, rel=1e-3)
        np.testing.assert_allclose(image[0], expected.numpy(), atol=0.05 * float(expected.std()))
        assert (results / f"{name}.png").is_file()
    call(script, posterior, CRISTAE, results)
    assert not [*results.glob("Contradicted*"), *results.glob("Misfit*")]


def test_misfit_of_a_tiny_field_is_refused_before_any_work(script, posterior, tmp_path, capsys):
    tifffile.imwrite(tmp_path / "tiny.tif", tifffile.imread(CRISTAE)[:, :48, :48])
    with pytest.raises(SystemExit):
        run_script(
            lambda: call(script, posterior, tmp_path / "tiny.tif", tmp_path / "out", "--misfit")
        )
    assert "48x48 px are too few for misfit" in capsys.readouterr().err


def test_changes_of_a_series_are_those_of_the_shared_members(script, posterior, tmp_path, capsys):
    first = tifffile.imread(CRISTAE)
    second = first.copy()
    second[:, 40:60, 50:70] += 300
    tifffile.imwrite(tmp_path / "series.tif", np.concatenate([first, second, second]))
    results = tmp_path / "out"
    call(script, posterior, tmp_path / "series.tif", results, "--changes", "0.9", "--force")
    change, changed = (read_tiff(results / f"{name}.tif")[0] for name in ("Change", "Changed"))
    assert "beyond its interval at" in capsys.readouterr().out
    assert change.shape == (2, 240, 240)

    stacks = [
        measured(torch.from_numpy(stack.astype(np.float32))).level.numpy()
        for stack in (first, second)
    ]
    norms = [normalisation_of(stack) for stack in stacks]
    shown = torch.stack([torch.from_numpy(n.apply(s)) for n, s in zip(norms, stacks, strict=True)])
    scales, lows = [n.scale for n in norms], [n.low for n in norms]
    functions = [member.function for member in open_members(posterior)]
    _, expected = predict_series(functions, shown, scales, lows)
    facts = json.loads((results / "prediction.json").read_text(encoding="utf-8"))
    counts = facts["normalisation"]["sr_counts"]
    difference = expected.difference[0, 0].numpy() / (counts["high"] - counts["low"])
    np.testing.assert_allclose(change[0], difference, atol=1e-4)
    beyond = marked(expected.difference, expected.total, 0.9)[0, 0].numpy()
    assert (changed[0] == np.sign(change[0]) * beyond).mean() > 0.999
    # Twice the same exposure: nothing has changed, and nothing is marked.
    assert not change[1].any()
    assert not changed[1].any()
    assert (results / "Change.png").is_file()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--changes", "0.95"], "is one time point"),
        (["--changes", "1.5"], "changes: expected a level of 0.5 to 0.99"),
        (["--changes", "0.9", "--members", "1"], "changes: needs a total uncertainty"),
        (["--changes", "0.9", "--convention", "released"], "leave it out, or the other option"),
    ],
)
def test_changes_that_cannot_be_told_are_refused(
    script, posterior, tmp_path, capsys, more, message
):
    with pytest.raises(SystemExit):
        run_script(lambda: call(script, posterior, CRISTAE, tmp_path / "out", *more))
    assert message in capsys.readouterr().err
