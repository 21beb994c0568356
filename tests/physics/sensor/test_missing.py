"""Pixels without data are found, named and filled; counts that agree by chance are not."""

import pytest
import torch

from bayesdl_sim.physics.sensor.missing import (
    describe_missing,
    filled,
    missing_in_bands,
    missing_pixels,
    validity,
)


def counts(size=(60, 72), gain=2.0, light=20.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (gain * torch.poisson(torch.full((9, *size), light), generator=generator)).round() + 100


@pytest.mark.parametrize("value", [0.0, 100.0, float("nan")])
def test_border_is_found_and_named(value):
    raw = counts()
    raw[:, :12], raw[:, :, :9] = value, value
    missing = missing_pixels(raw)
    expected = torch.zeros(60, 72, dtype=torch.bool)
    expected[:12], expected[:, :9] = True, True
    assert torch.equal(missing, expected)
    assert describe_missing(missing) == "a border of 12 rows and 9 columns holds no data"


def test_padding_and_dead_lines_are_named():
    raw = counts()
    raw[:, :5], raw[:, -7:], raw[:, :, 30], raw[:, 20:22] = 0, 0, 100, 100
    words = describe_missing(missing_pixels(raw))
    assert "a border of 5+7 rows" in words
    assert "rows 21-22 hold no data" in words
    assert "column 31 holds no data" in words


def test_a_patch_is_a_share():
    raw = counts()
    raw[:, 30:42, 30:48] = 0
    assert describe_missing(missing_pixels(raw)) == "5 % of the pixels hold no data"


def test_good_stacks_miss_nothing():
    assert not bool(missing_pixels(counts()).any())
    assert describe_missing(missing_pixels(counts())) == ""


def test_rounded_counts_that_agree_by_chance_are_data():
    quiet = counts(gain=1.0, light=0.25, size=(256, 256))  # a tenth of the pixels
    assert float((quiet == quiet[:1]).all(dim=0).float().mean()) > 0.09
    assert float(missing_pixels(quiet).float().mean()) < 0.01


def with_saturation(raw, overexposed):
    """A blob as sharp as a lens leaves it, whose middle the camera cannot store."""
    y, x = torch.meshgrid(torch.arange(60.0), torch.arange(72.0), indexing="ij")
    blob = torch.exp(-((y - 20).square() + (x - 20).square()) / (2 * 1.5**2))
    light = overexposed * 2000 * blob.expand(9, -1, -1)
    shot = torch.poisson(light, generator=torch.Generator().manual_seed(7))
    return (raw + 2 * shot).clamp(max=4095)


@pytest.mark.parametrize("overexposed", [1.5, 3.0, 30.0])
def test_saturated_structure_is_data(overexposed):
    raw = with_saturation(counts(), overexposed)
    assert int((raw == 4095).all(dim=0).sum()) >= 4
    assert not bool(missing_pixels(raw).any())


@pytest.mark.parametrize("value", [None, 2000.0, 65535.0])
def test_a_scale_bar_is_missing_even_if_nothing_is_brighter(value):
    raw = with_saturation(counts(), 0.5)
    expected = torch.zeros(60, 72, dtype=torch.bool)
    expected[50:52, 40:60] = True
    raw[:, expected] = float(raw.max()) if value is None else value
    assert torch.equal(missing_pixels(raw), expected)


@pytest.mark.parametrize("frames", [slice(3, 6), slice(4, 5)])
@pytest.mark.parametrize("value", [0.0, float("nan")])
@pytest.mark.parametrize("part", [(slice(None), slice(0, 1)), (slice(-6, None), slice(None))])
def test_what_some_frames_lack_is_missing_in_all(frames, value, part):
    raw, expected = counts(), torch.zeros(60, 72, dtype=torch.bool)
    raw[frames, *part], expected[part] = value, True
    assert torch.equal(missing_pixels(raw), expected)


def test_a_background_cut_at_zero_is_data():
    raw = counts(light=20.0)
    ramp = torch.linspace(0.2, 1.5, 72)
    cut = (raw - 100 - 40 * ramp.flip(0)).round().clamp(min=0)
    assert float((cut == 0).all(dim=0).float().mean()) > 0.05
    assert not bool(missing_pixels(cut).any())


def test_a_constant_stack_is_not_missing_as_a_whole():
    assert not bool(missing_pixels(torch.full((9, 32, 32), 100.0)).any())


def test_filled_pixels_continue_the_field():
    ramp = torch.linspace(100, 200, 72).expand(9, 60, 72).clone()
    missing = torch.zeros(60, 72, dtype=torch.bool)
    missing[:, :10], missing[:, 40] = True, True
    broken = torch.where(missing, torch.nan, ramp)
    whole = filled(broken, missing)
    assert torch.equal(whole[:, ~missing], ramp[:, ~missing])
    assert bool(torch.isfinite(whole).all())
    assert float((whole[:, :, 40] - ramp[:, :, 40]).abs().max()) < 3
    assert float((whole[:, :, 9] - ramp[:, :, 10]).abs().max()) < 5  # no step


def test_filling_nothing_changes_nothing():
    raw = counts()
    assert filled(raw, missing_pixels(raw)) is raw


def test_validity_is_one_away_from_gaps_and_zero_in_them():
    raw = counts()
    assert validity(missing_pixels(raw)) is None
    raw[:, :, :10] = 0
    valid = validity(missing_pixels(raw))
    assert float(valid[:, :10].max()) == 0.0
    assert torch.equal(valid[:, 25:], torch.ones(60, 47))
    assert bool((valid.diff(dim=1) >= -1e-6).all())


def test_separate_dead_rows_are_named_one_by_one():
    raw = counts()
    for first, last in ((10, 12), (40, 40), (50, 51)):
        raw[:, first - 1 : last] = 0.0
    words = describe_missing(missing_pixels(raw))
    assert words == "rows 10-12, 40, 50-51 hold no data"


@pytest.mark.parametrize("value", [0.0, 100.0, float("nan")])
def test_bands_find_what_the_whole_field_shows(value):
    raw = counts()
    raw[:, :12], raw[:, 30:45, 20:50] = value, value
    raw[:, 50:, 60:] = float(raw.nan_to_num().max())  # a label
    raw[4, 22:24, :40], raw[5, 20:50, 3] = 0.0, 0.0
    bands = missing_in_bands(lambda: raw.split((7, 33, 20), dim=1))
    assert torch.equal(bands, missing_pixels(raw))
    for part in (bands[:12], bands[50:, 60:], bands[22:24, :40], bands[20:50, 3]):
        assert bool(part.all())
