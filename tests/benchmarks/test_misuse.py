"""The misuse benchmark on tiny members: every scenario is drawn, every table is filled."""

import json
import math
from dataclasses import replace

import pytest
import torch

from bayesdl_sim.benchmarks import misuse
from bayesdl_sim.benchmarks.misuse import Judged
from bayesdl_sim.benchmarks.scenes.faults import FAULTS, FRAME_FAULTS, GROSS, WEAK, fault_scene
from bayesdl_sim.benchmarks.scenes.local_faults import LOCAL_FAULTS
from bayesdl_sim.evaluation.calibrate import (
    GATE_SEED,
    CalibrationSettings,
    calibrate,
    nested_scores,
)
from bayesdl_sim.evaluation.scenes import simulated_cells
from bayesdl_sim.inference.judging.findings import Finding
from bayesdl_sim.inference.posterior import Posterior
from bayesdl_sim.models.bayesdl import build_network, member_payload, network_config
from bayesdl_sim.utils.checkpoints import member_path, save_checkpoint
from bayesdl_sim.utils.errors import InputError

torch.set_num_threads(1)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "members"
    config = network_config("unet", "gauss", in_channels=9, width=4, levels=2, blocks=1)
    for index in (1, 2):
        payload = member_payload(build_network(config, seed=index), {}, {})
        save_checkpoint(member_path(folder, index), payload)
    return folder


def options(folder, *more):
    common = ["--pretrained_G", folder, "--device", "cpu", "--precision", "fp32", "--size", 64]
    return [str(word) for word in [*common, *more]]


@pytest.mark.parametrize("name", FAULTS)
def test_scenario_is_drawn_again_from_its_seed(name):
    scene, again = (fault_scene(name, 0, 48, 5) for _ in range(2))
    assert scene.raw.shape == (1, 9, 48, 48)
    assert torch.isfinite(scene.raw).all()
    assert torch.equal(scene.raw, again.raw)


def test_faults_are_what_their_names_say():
    copies = fault_scene("one exposure stored twice", 1, 48, 5).raw[0]
    assert sum(torch.equal(a, b) for a, b in zip(copies, copies[1:], strict=False)) == 1
    wide = fault_scene("one wide field, nine times", 0, 48, 5).raw[0]
    assert torch.equal(wide[0], wide[8])
    saturated = fault_scene("saturation of 2-10 %", 0, 48, 5).raw[0]
    assert 0.015 < float((saturated == saturated.max()).double().mean()) < 0.25
    assert fault_scene(WEAK, 0, 48, 5).signals[0] < 2
    assert set(FRAME_FAULTS) <= set(GROSS) <= set(FAULTS)


def test_a_stack_with_a_bead_scores_as_for_the_gate(folder):
    (scene,) = simulated_cells(GATE_SEED, 1, 1, 96)
    with_bead, _ = LOCAL_FAULTS["a bead, 15 times"](
        scene, scene.raw[0], torch.Generator().manual_seed(1)
    )
    scene, posterior = replace(scene, raw=with_bead[None]), Posterior.load(folder)
    judged = misuse.judge_scene(scene, posterior)
    assert judged.scores == pytest.approx(nested_scores(scene, posterior)[-1])


def test_tables_are_filled_and_written(folder, tmp_path, monkeypatch, capsys):
    """Two scenarios and one real stack stand for all: the others differ in their frames only."""
    real = {"cristae": misuse.STACKS["cristae"]}
    monkeypatch.setattr(misuse, "STACKS", real)
    with pytest.raises(InputError, match="fit it first"):
        misuse.main(options(folder))
    calibrate(CalibrationSettings(root_dir=None, pretrained_G=folder, gate_cells=19, gate_size=64))
    some = {name: FAULTS[name] for name in ("one wide field, nine times", WEAK)}
    monkeypatch.setattr(misuse, "FAULTS", some)
    out = tmp_path / "out"
    misuse.main(options(folder, "--cells", 2, "--scenes", 1, "--save_path", out))
    tables = json.loads((out / "misuse.json").read_text(encoding="utf-8"))["tables"]
    rows = {row["scenario"]: row for row in tables["Misuse"]}
    assert rows["one wide field, nine times"]["refused"] == 1.0
    assert rows["one wide field, nine times"]["AUROC, gate"] == 1.0
    assert rows["test cells (false alarms)"]["stacks"] == 2
    assert {row["stack"] for row in tables["Real stacks"]} == set(real)
    assert "Invented structure" in tables
    assert "### Misuse" in capsys.readouterr().out


def test_seed_of_the_validation_cells_is_refused(folder):
    with pytest.raises(InputError, match="cells of the gate"):
        misuse.parse_args(options(folder, "--seed", GATE_SEED))
    with pytest.raises(InputError, match=r"python calibrate\.py --gate_cells"):
        misuse.parse_args(options(folder, "--fit", 200))


def judged(refuse, clear=9, modulation=0.5):
    faults = [Finding(True, "fault")] if refuse else []
    return Judged(
        faults=faults, scores={}, intensity=0.1, snr=5.0, modulation=modulation, clear_frames=clear
    )


def test_checks_count_only_what_can_be_judged():
    known = [judged(False), judged(False), judged(True, modulation=0.1)]
    name = "two frames swapped"
    faults = {name: [judged(True), judged(False, clear=0), judged(False, modulation=0.2)]}
    rows = {row["fault"]: row for row in misuse.checks_table(known, faults)}
    good, swapped = rows["no fault (must pass)"], rows[name]
    assert (good["stacks"], good["right, of the judged"], good["bar: all"]) == (2, 1.0, "yes")
    assert (swapped["stacks"], swapped["judged"], swapped["right, of the judged"]) == (2, 1, 1.0)
    missed = {name: [judged(False), judged(True)]}
    rows = {row["fault"]: row for row in misuse.checks_table([judged(True)], missed)}
    assert rows[name]["bar: all"] == rows["no fault (must pass)"]["bar: all"] == "NO"


def test_trivial_score_counts_in_its_better_direction():
    assert misuse.either_way([1.0, 2.0], [-1.0, 0.0]) == 1.0
    assert math.isclose(misuse.either_way([1.0, 2.0], [1.0, 2.0]), 0.5)
