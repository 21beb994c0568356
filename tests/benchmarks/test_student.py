"""benchmarks.distillation.student: two posteriors on one scene, and the bars."""

import numpy as np
import pytest
import torch

from bayesdl_sim.bayes.likelihoods import DISTILLED
from bayesdl_sim.benchmarks.distillation import student
from bayesdl_sim.evaluation.scenes import simulated_cells
from bayesdl_sim.inference.posterior import Posterior
from bayesdl_sim.models.bayesdl import build_network, member_payload, network_config
from bayesdl_sim.utils.checkpoints import member_path, save_checkpoint


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pair")
    for place, likelihood, count in ((folder, "gauss", 2), (folder / "student", DISTILLED, 1)):
        config = network_config("unet", likelihood, None, width=4, levels=2, blocks=1)
        for seed in range(1, count + 1):
            network = build_network(config, seed)
            with torch.no_grad():  # a new tail is flat, and has no ranks
                network.tail.output.weight.normal_(generator=torch.Generator().manual_seed(seed))
            payload = member_payload(network, {"kind": "sgld"}, {})
            save_checkpoint(member_path(place, seed), payload)
    return Posterior.load(folder, "cpu"), Posterior.load(folder, "cpu", fast=True)


def test_a_scene_is_compared_level_by_level(pair):
    rows, pooled = student.measure(simulated_cells(4, 1, 2, 48), pair)
    assert [row["level"] for row in rows] == [1, 2]
    assert -1 <= pooled <= 1
    for row in rows:
        assert all(np.isfinite(row[f"{name}, dB"]) for name in ("posterior", "student"))
        assert 0 <= row["student, covered"] <= 100
    assert len(student.table(rows)) == 2


def test_a_posterior_stands_for_itself(pair):
    rows, pooled = student.measure(simulated_cells(4, 1, 1, 48), (pair[0], pair[0]))
    assert pooled == pytest.approx(1)
    verdict = student.bars(rows, pooled)
    assert verdict[0]["measured"] == 0
    assert [row["holds"] for row in verdict[:2]] == ["yes", "yes"]


def test_bars_say_what_falls_short():
    rows = [{"posterior, dB": 40.0, "student, dB": 39.7, "student, covered": 85.0}]
    assert [row["holds"] for row in student.bars(rows, 0.8)] == ["NO", "NO", "NO"]
