"""What a camera can give is taken, what it cannot is named."""

import numpy as np
import pytest

from bayesdl_sim.data.counts import check_counts
from bayesdl_sim.utils.errors import InputError


def photons(mean=30.0, seed=0, size=64):
    """Counts of a calibrated camera: photo-electrons of a soft structure and read noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] / size
    light = mean * np.exp(-8 * ((x - 0.4) ** 2 + (y - 0.5) ** 2)) + 0.3
    return (rng.poisson(light, (9, size, size)) + rng.normal(0, 1.5, (9, size, size))).astype("f4")


def test_read_noise_below_zero_is_no_fault():
    frames = photons(8)
    assert (frames < 0).any()
    check_counts(frames, "raw.tif")
    frames = np.abs(frames) + 1
    frames[4, 3, 2] = -0.001
    check_counts(frames, "raw.tif")


def test_mostly_negative_values_are_refused():
    with pytest.raises(InputError, match=r"raw.tif holds negative counts in \d+% of its pixels"):
        check_counts(photons(8) - 4, "raw.tif")


def test_an_integer_overflow_is_named():
    frames = (photons(40_000) + 500).clip(0).astype(np.uint16).view(np.int16)
    with pytest.raises(InputError, match="run over the largest signed number .* as uint16"):
        check_counts(frames, "raw.tif")


@pytest.mark.parametrize("kind", [np.int16, np.float32])
def test_counts_that_were_shifted_into_signed_numbers_are_named(kind):
    frames = (photons(400) + 100).clip(0).astype(np.int32)
    shifted = (frames - 32768).astype(kind)
    with pytest.raises(InputError, match="raw.tif .* signed 16-bit.: add 32768 to every value"):
        check_counts(shifted, "raw.tif")
    check_counts((shifted.astype(np.int32) + 32768).astype(np.uint16), "raw.tif")


@pytest.mark.parametrize("factor", [1e10, -1e10, 1e25])
def test_values_beyond_any_camera_are_refused(factor):
    with pytest.raises(InputError, match="raw.tif holds values up to .* at most 4.3e.09"):
        check_counts(factor * photons(), "raw.tif")
    check_counts((1e7 * (photons() + 10)).astype(np.float32), "raw.tif")


def test_gaps_are_taken_where_they_are_allowed():
    frames = photons()
    frames[:, :5] = np.nan
    frames[2, :, :3] = np.nan
    check_counts(frames, "raw.tif", gaps=True)
    with pytest.raises(InputError, match="NaN or infinite values in image 1"):
        check_counts(frames, "raw.tif")
    frames[3, 40, 40] = np.inf
    with pytest.raises(InputError, match="NaN or infinite values in image 1"):
        check_counts(frames, "raw.tif", gaps=True)
    frames[:, :40] = np.nan
    frames[3, 40, 40] = 1
    with pytest.raises(InputError, match="holds no data .NaN. in 64% of its pixels: crop it"):
        check_counts(frames, "raw.tif", gaps=True)


@pytest.mark.parametrize("kind", ["u2", "f4"])
def test_counts_of_the_other_byte_order_are_refused(kind):
    counts = np.rint(40 * photons() + 200).clip(0).astype("u2")
    check_counts(counts.astype(kind), "raw.tif")
    with pytest.raises(InputError, match="other byte order"):
        check_counts(counts.byteswap().astype(kind), "raw.tif")


@pytest.mark.parametrize("factor", [1, 2, 16, 256, 257])
def test_few_grey_values_are_no_exchanged_bytes(factor):
    counts = photons()
    grey = np.rint(255 * (counts - counts.min()) / (counts.max() - counts.min())).astype("u2")
    check_counts(factor * grey, "raw.tif")
