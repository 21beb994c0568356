"""Baselines in their own favour, and other programs' images beside ours."""

import numpy as np
import pytest
import tifffile

from bayesdl_sim.benchmarks import accuracy
from bayesdl_sim.benchmarks.shared.baselines import (
    best_variants,
    other_image,
    other_programs,
    stack_name,
    wiener_variants,
    write_stacks,
)
from bayesdl_sim.benchmarks.shared.common import wide_field_images, wiener_images
from bayesdl_sim.evaluation.scenes import simulated_cells
from bayesdl_sim.utils.errors import InputError


@pytest.fixture(scope="module")
def cell():
    (scene,) = simulated_cells(seed=7, cells=1, levels=2, size=48)
    return scene


def test_the_best_variant_of_each_level_is_kept():
    rows = [
        {"method": "a", "level": level, "variant": variant, "cell": cell, "psnr": psnr}
        for level, variant, values in (
            (1, "x", (30, 20)),
            (1, "y", (26, 25)),  # the better mean, though never the best
            (2, "x", (40, 41)),
            (2, "y", (39, 39)),
        )
        for cell, psnr in enumerate(values)
    ]
    kept = best_variants(rows)
    assert [(row["level"], row["variant"]) for row in kept] == [(1, "y")] * 2 + [(2, "x")] * 2
    assert best_variants([]) == []


def test_the_tuned_filter_is_never_worse_than_the_untuned(cell):
    methods = {"Wiener, true OTF": wiener_images}
    rows = accuracy.score_scenes([cell], methods, tuned=True)
    psnr = {(row["method"], row["level"]): row["psnr"] for row in rows}
    assert len(psnr) == 4
    for level in (1, 2):
        assert psnr[accuracy.TUNED, level] >= psnr["Wiener, true OTF", level] - 1e-9
    table = accuracy.chosen_variants(rows)
    assert [row["level"] for row in table] == [1, 2]
    assert all("blur" in row["variant"] for row in table)
    plain = wiener_variants(cell)["constant measured, blur 0 px"]
    for one, other in zip(plain, wiener_images(cell), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-4)


def test_other_programs_are_scored_beside_ours(cell, tmp_path):
    write_stacks(tmp_path / "stacks", 1, cell)
    stored = tifffile.imread(tmp_path / "stacks" / stack_name(1, 2))
    np.testing.assert_array_equal(stored, cell.raw[1].numpy())
    program = tmp_path / "others" / "perfect"
    program.mkdir(parents=True)
    for level in (1, 2):
        tifffile.imwrite(program / stack_name(1, level), (7 * cell.target + 3).astype(np.float32))
    others = other_programs(tmp_path / "others")
    rows = accuracy.score_scenes([cell], {"wide field": wide_field_images}, others=others)
    scores = {row["method"]: row for row in accuracy.mean_by(rows, "method")}
    assert scores["perfect"]["stacks"] == 2
    assert scores["perfect"]["psnr"] > 90 > scores["wide field"]["psnr"]  # an affine fit is free


def test_missing_or_small_images_of_others_are_named(cell, tmp_path):
    with pytest.raises(InputError, match="expected a subfolder per program"):
        other_programs(tmp_path)
    with pytest.raises(InputError, match=r"cell_001_level_1\.tif"):
        other_image(tmp_path, 1, 1, cell)
    tifffile.imwrite(tmp_path / stack_name(1, 1), np.zeros((48, 48), np.float32))
    with pytest.raises(InputError, match="48x48 px, expected 96x96"):
        other_image(tmp_path, 1, 1, cell)
