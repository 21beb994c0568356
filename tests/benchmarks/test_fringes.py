"""The fringe benchmark counts what is right, and its control holds no fringes."""

import csv
import json
from dataclasses import replace

import pytest
import torch

from bayesdl_sim.benchmarks.fringes import (
    MEASURED,
    SHUFFLED,
    gain_rows,
    gain_table,
    main,
    pattern_errors,
    true_share,
    within_limits,
)
from bayesdl_sim.data.normalise import normalisation_of, target_normalisation
from bayesdl_sim.evaluation.scenes import simulated_cells
from bayesdl_sim.physics.reconstruction.first_guess import first_guess


@pytest.fixture(scope="module")
def scene():
    """A cell of one bright level."""
    (scene,) = simulated_cells(77, 1, 1, 96)
    return scene


def test_true_patterns_have_no_error_in_either_direction(scene):
    light = scene.illumination
    assert pattern_errors(light, light, 96) == [(0.0, 0.0)] * 3
    opposite = replace(
        light,
        frequency=tuple(-k for k in light.frequency),
        phase=tuple(tuple(-p for p in three) for three in light.phase),
    )
    for frequency, phase in pattern_errors(opposite, light, 96):
        assert frequency == pytest.approx(0, abs=1e-9)
        assert phase == pytest.approx(0, abs=1e-6)


def test_errors_have_their_units(scene):
    light = scene.illumination
    phase = tuple(tuple(p + 0.2 for p in three) for three in light.phase)
    assert pattern_errors(replace(light, phase=phase), light, 96)[1][1] == pytest.approx(
        11.46, abs=0.01
    )
    longer = replace(light, frequency=tuple(k + 0.005 for k in light.frequency))
    assert pattern_errors(longer, light, 100)[0][0] == pytest.approx(0.5, abs=1e-6)
    assert within_limits([(0.4, 14.0)] * 3)
    assert not within_limits([(0.4, 14.0), (0.4, 16.0), (0.1, 1.0)])


def test_the_true_share_is_that_of_the_squared_error(scene):
    raw = scene.raw[0]
    blank = torch.zeros(scene.target.shape)
    norm = target_normalisation(scene.target, raw.mean(dim=0).numpy(), normalisation_of(raw))
    perfect = torch.from_numpy(norm.apply(scene.target))
    share = true_share(raw, scene, {MEASURED: perfect, SHUFFLED: blank})
    assert share == pytest.approx(1.0, abs=1e-6)
    share = true_share(raw, scene, {MEASURED: perfect, SHUFFLED: perfect})
    assert share == pytest.approx(0.0, abs=1e-6)


def test_gain_is_measured_against_the_control(scene):
    methods = {"Wiener": lambda raw, patterns: first_guess(raw, patterns).numpy()}
    rows = gain_rows(scene, methods, torch.Generator().manual_seed(0))
    (row,) = gain_table(rows, methods)
    expected = row["Wiener, as measured"] - row["Wiener, frames shuffled"]
    assert row["Wiener, fringe gain"] == pytest.approx(expected)
    assert row["Wiener, true patterns"] > row["wide field"]


def test_rows_of_patterns_and_gains_go_into_one_file(tmp_path, monkeypatch):
    monkeypatch.setattr("bayesdl_sim.benchmarks.fringes.open_posterior", lambda args: None)
    monkeypatch.setattr("bayesdl_sim.benchmarks.fringes.stated_share", lambda *_: 0.5)
    monkeypatch.setattr(
        "bayesdl_sim.benchmarks.fringes.posterior_mean",
        lambda _, raw, patterns: first_guess(raw, patterns).numpy(),
    )
    main(["--cells", "1", "--levels", "1", "--size", "64", "--save_path", str(tmp_path)])
    with (tmp_path / "fringes.csv").open(newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert None not in row  # as many values as names
    assert float(row["BayesDL-SIM, as measured"]) > float(row["wide field"])
    assert row["found, optics unknown"] in ("True", "False")


def test_command_writes_its_table(tmp_path, capsys):
    options = ["--cells", "1", "--levels", "1", "--size", "64", "--patterns_only"]
    main([*options, "--save_path", str(tmp_path)])
    assert "Patterns found" in capsys.readouterr().out
    stored = json.loads((tmp_path / "fringes.json").read_text())
    assert stored["tables"]["Patterns found"][0]["stacks"] == 1
