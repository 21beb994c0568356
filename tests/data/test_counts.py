"""What a camera can give is taken, what it cannot is named."""

import numpy as np
import pytest

from bayesdl_sim.data.counts import check_counts, clipped_share
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
@pytest.mark.parametrize("percentile", [8, 20, 40])
def test_a_subtracted_background_is_noticed(kind, percentile):
    frames = 4 * photons(60) + 100  # four counts per electron
    frames = (frames - np.percentile(frames, percentile)).clip(0).astype(kind)
    share = clipped_share(frames)
    assert share == pytest.approx(percentile / 100, abs=0.03)


@pytest.mark.parametrize("mean", [0.7, 2.0, 8.0, 60.0, 2000.0])
@pytest.mark.parametrize("offset", [0, 100])
def test_counts_as_a_camera_gives_them_are_not_called_clipped(mean, offset):
    """Photon counts of a dim field hold many true zeros, and as many ones, twos, ..."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:64, :64] / 64
    light = mean * (0.5 + 0.5 * np.sin(9 * x) * np.cos(7 * y)) + 0.4
    frames = (rng.poisson(light, (9, 64, 64)) + offset).astype(np.uint16)
    assert clipped_share(frames) == 0
    assert clipped_share(photons(mean)) == 0


def test_a_border_without_data_is_not_called_clipped():
    frames = (photons(60) + 100).astype(np.uint16)
    frames[:, :12] = 0
    frames[:, :, -9:] = 0
    assert clipped_share(frames) == 0


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
