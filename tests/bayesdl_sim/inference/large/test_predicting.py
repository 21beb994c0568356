"""Tiles have the values of the whole field, and statistics of bands are those of the whole."""

import numpy as np
import pytest
import torch

from bayesdl_sim.bayes.calibration.image_features import brightness_of, features_of
from bayesdl_sim.bayes.prediction import Prediction
from bayesdl_sim.data.inputs import InputSpec
from bayesdl_sim.data.stacks import RawStack
from bayesdl_sim.inference.gaps import structure_range
from bayesdl_sim.inference.large import scratch as scratch_module
from bayesdl_sim.inference.large.predicting import part_input, statistics_of
from bayesdl_sim.inference.large.scratch import Scratch
from bayesdl_sim.inference.prepared.stack import PreparedStack
from bayesdl_sim.utils.errors import InputError

SIZE = (60, 48)  # of the doubled grid
WHOLE = (slice(0, SIZE[0]), slice(0, SIZE[1]))


@pytest.fixture
def maps():
    rng = np.random.default_rng(5)
    mean = (0.2 + rng.gamma(2.0, 0.1, SIZE)).astype(np.float32)
    deviations = {
        name: (0.01 + 0.05 * rng.random(SIZE)).astype(np.float32) for name in Prediction._fields[1:]
    }
    return {"mean": mean} | deviations


@pytest.fixture
def scratch(tmp_path, monkeypatch, maps):
    monkeypatch.setattr(scratch_module, "BAND", 16)
    scratch = Scratch(tmp_path / "a.bin", Prediction._fields, SIZE)
    for name, image in maps.items():
        scratch.write(name, WHOLE, image)
    return scratch


def stack_of(missing, tmp_path):
    """A dim stack on half the grid, of which some pixels hold no data."""
    generator = torch.Generator().manual_seed(9)
    raw = torch.poisson(torch.full((9, *missing.shape), 80.0), generator=generator)
    raw[:, missing] = torch.nan
    stack = RawStack(raw=raw[None].numpy(), pixel_size_nm=None, name="a", source=tmp_path / "a.tif")
    return PreparedStack(stack)


def test_statistics_are_those_of_the_whole(scratch, maps, tmp_path):
    none = torch.zeros(SIZE[0] // 2, SIZE[1] // 2, dtype=torch.bool)
    stack = stack_of(none, tmp_path)
    statistics = statistics_of(scratch, stack)
    signal = stack.signal_e(0)
    expected = features_of(maps["mean"], maps["aleatoric"], maps["epistemic"], signal)
    np.testing.assert_allclose(statistics.features, expected, rtol=1e-6, atol=1e-6)
    assert statistics.structure == pytest.approx(structure_range(maps["mean"][None]), rel=1e-5)
    assert statistics.lit == pytest.approx(float(np.quantile(maps["mean"], 0.8)), rel=1e-5)
    part = (slice(10, 30), slice(5, 40))
    expected = brightness_of(maps["mean"])[part]
    np.testing.assert_allclose(statistics.brightness(maps["mean"][part]), expected, atol=1e-5)


def test_gaps_do_not_count_for_the_structure(scratch, maps, tmp_path):
    gaps = torch.zeros(SIZE[0] // 2, SIZE[1] // 2, dtype=torch.bool)
    gaps[:10, :10] = True
    maps["mean"][:20, :20] = 50.0
    scratch.write("mean", WHOLE, maps["mean"])
    statistics = statistics_of(scratch, stack_of(gaps, tmp_path))
    expected = structure_range(maps["mean"][None], gaps.numpy()[None])
    assert statistics.structure == pytest.approx(expected, rel=1e-5)
    assert statistics.structure < 2


@pytest.mark.parametrize(("name", "value"), [("mean", np.nan), ("aleatoric", np.inf)])
def test_what_cannot_be_shown_is_refused(scratch, maps, name, value, tmp_path):
    maps[name][7, 7] = value
    scratch.write(name, WHOLE, maps[name])
    with pytest.raises(InputError, match=r"a\.tif"):
        statistics_of(scratch, stack_of(torch.zeros(30, 24, dtype=torch.bool), tmp_path))


@pytest.mark.parametrize("gap", [False, True])
def test_a_part_of_the_input_is_cut_out_of_the_whole(gap, tmp_path):
    generator = torch.Generator().manual_seed(1)
    raw = torch.poisson(torch.full((9, 64, 72), 60.0), generator=generator).numpy()
    raw[:, 20:40, 20:40] *= 4
    if gap:
        raw[:, 30:38, 50:60] = np.nan
    stack = RawStack(raw=raw[None], pixel_size_nm=None, name="a", source=tmp_path / "a.tif")
    prepared, inputs = PreparedStack(stack), InputSpec(None, True)
    whole, guess = prepared.network_input(0, inputs), prepared.guess(0)
    square = (slice(16, 48), slice(12, 72))
    part = part_input(prepared, inputs, square, guess)
    torch.testing.assert_close(part, whole[..., *square])
    without = part_input(prepared, InputSpec(), square, None)
    torch.testing.assert_close(without, whole[:, :9, *square])
