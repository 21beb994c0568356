"""The interval on reconstructions imaged by from_image: what they are, and what is counted."""

import json

import numpy as np
import pytest

from bayesdl_sim.bayes.calibration.recalibration import Calibration
from bayesdl_sim.benchmarks.intervals.textures import main, parse_args, rows
from bayesdl_sim.benchmarks.scenes.textures import TEXTURES, texture_scenes, textures
from bayesdl_sim.evaluation.scoring import Sample
from bayesdl_sim.utils.errors import InputError


def test_fields_are_densities_on_the_fine_grid(monkeypatch):
    *image, _ = TEXTURES["F-actin"]
    monkeypatch.setitem(TEXTURES, "F-actin", (*image, 1))  # one step of twenty: time
    fields = list(textures())
    assert [name for name, _ in fields] == ["F-actin"] * 4 + ["cristae", "HeLa mitochondria"]
    for _, density in fields:
        assert density.dtype == np.float32
        assert 0 <= density.min() < 0.05
        assert 0.3 < density.max() <= 1.0
        assert all(side % 2 == 0 for side in density.shape)
    with pytest.raises(InputError, match="expected some of F-actin"):
        next(textures(["ER"]))


def test_levels_are_exposures_of_one_field():
    (scene,) = texture_scenes(5, ["cristae"], [65.0], [8.0, 200.0])
    dim, bright = scene.raw.numpy()
    assert scene.signals == (8.0, 200.0)
    assert dim.shape == (9, 120, 120)
    assert scene.optics.pixel_size_nm == 65.0
    lit = scene.raw[1].mean(dim=0) > 200
    ratio = (bright.mean(axis=0)[lit] - 100) / np.maximum(dim.mean(axis=0)[lit] - 100, 1)
    assert np.median(ratio) == pytest.approx(25, rel=0.15)
    again = next(texture_scenes(5, ["cristae"], [65.0], [8.0]))
    np.testing.assert_array_equal(again.raw[0], scene.raw[0])  # whatever other levels there are


def test_rows_count_the_lit_fifth_of_each_structure():
    rng, samples = np.random.default_rng(0), []
    for cell, name in enumerate(["a", "a", "b"]):
        mean, sigma = rng.random(5000), np.full(5000, 0.1)
        sigma[mean > 0.8] *= 0.5 if name == "b" else 1.0  # over-confident where it is bright
        target = mean + 0.1 * rng.normal(size=5000)
        samples.append(
            Sample(
                cell=cell,
                level=1,
                signal_e=20.0,
                target=target,
                mean=mean,
                sigma=sigma,
                structure=name,
            )
        )
    table = rows(samples, Calibration())
    assert [(row["structure"], row["stacks"]) for row in table] == [("all", 3), ("a", 2), ("b", 1)]
    covered = [row["lit fifth covered, calibrated, %"] for row in table]
    assert covered[1] == pytest.approx(90, abs=1.5)
    assert covered[2] == pytest.approx(59, abs=3)
    assert table[2]["lit fifth, mean z^2"] == pytest.approx(4.0, rel=0.1)
    assert table[2]["all pixels covered, calibrated, %"] == pytest.approx(84, abs=2)


def test_command_writes_its_table(tmp_path, capsys):
    options = ["--textures", "HeLa mitochondria", "--pixel_sizes_nm", "62.6", "--signals_e", "30"]
    main([*options, "--members", "1", "--device", "cpu", "--save_path", str(tmp_path)])
    assert "Texture of real reconstructions" in capsys.readouterr().out
    stored = json.loads((tmp_path / "textures.json").read_text())
    table = stored["tables"]["Texture of real reconstructions"]
    assert [row["signal"] for row in table] == ["13-60 e-/px"] * 2


@pytest.mark.parametrize("options", [["--signals_e", "1"], ["--pixel_sizes_nm", "-3"]])
def test_levels_and_pixels_that_no_row_counts_are_refused(options):
    with pytest.raises(InputError, match="expected"):
        parse_args(options)
