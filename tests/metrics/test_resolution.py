"""Resolution measures on images whose resolution is known."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from bayesdl_sim.metrics.resolution import RingCorrelation, decorrelation, frc, frc_resolution
from bayesdl_sim.utils.errors import InputError


def points(rng, size=192):
    return (rng.random((size, size)) < 0.02).astype(float)


def band_limited(image, cutoff):
    """The image through the incoherent OTF of that cut-off, cycles per pixel."""
    shape = image.shape
    radius = np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.fftfreq(shape[1])[None])
    x = np.clip(radius / cutoff, 0, 1)
    transfer = 2 / np.pi * (np.arccos(x) - x * np.sqrt(1 - x**2))
    blurred = np.fft.ifft2(np.fft.fft2(image) * transfer).real
    return blurred / blurred.max()


def frc_by_definition(a, b, ring):
    """One ring, pixel by pixel, of two images that need no window."""
    first, second = np.fft.fft2(a), np.fft.fft2(b)
    side, shared, power_a, power_b = len(a), 0.0, 0.0, 0.0
    for i in range(side):
        for j in range(side):
            y, x = min(i, side - i), min(j, side - j)
            if round(np.hypot(x, y)) == ring:
                shared += (first[i, j] * second[i, j].conjugate()).real
                power_a += abs(first[i, j]) ** 2
                power_b += abs(second[i, j]) ** 2
    return shared / np.sqrt(power_a * power_b)


def test_ring_correlation_is_its_definition(monkeypatch):
    monkeypatch.setattr("bayesdl_sim.metrics.resolution.EDGE", 0.0)
    rng = np.random.default_rng(0)
    a = rng.normal(size=(32, 32))
    b = a + rng.normal(size=(32, 32))
    rings = frc(a, b)
    for ring in (1, 7, 16):
        expected = frc_by_definition(a - a.mean(), b - b.mean(), ring)
        assert rings.correlation[ring - 1] == pytest.approx(expected, abs=1e-9)
        assert rings.frequency[ring - 1] == ring / 32


def test_ring_correlation_of_equal_and_of_independent_images():
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, 128, 128))
    np.testing.assert_allclose(frc(a, 3 * a + 5).correlation, 1, atol=1e-12)
    assert frc_resolution(frc(a, a)) == 2
    assert np.abs(frc(a, b).correlation[20:]).mean() < 0.1
    assert frc_resolution(frc(a, b), "3-sigma") > 5


def test_ring_correlation_of_two_noisy_halves_is_the_share_of_signal():
    """Halves of signal power S and noise power 1 correlate by S / (S + 1)."""
    rng = np.random.default_rng(2)
    signal, first, second = rng.normal(size=(3, 256, 256))
    correlation = frc(2 * signal + first, 2 * signal + second).correlation[10:]
    assert correlation.mean() == pytest.approx(4 / 5, abs=0.02)


@pytest.mark.parametrize("threshold", ["1/7", "3-sigma"])
def test_crossing_is_interpolated_and_seeks_the_first_fall(threshold):
    frequency = np.arange(1, 65) / 128
    rings = RingCorrelation(frequency, np.exp(-frequency / 0.1), np.full(64, 10**9))
    limit = 1 / 7 if threshold == "1/7" else 3 / np.sqrt(5e8)
    expected = max(2.0, 1 / (-0.1 * np.log(limit)))
    assert frc_resolution(rings, threshold) == pytest.approx(expected, rel=0.02)


def test_frc_follows_the_cut_off_and_the_noise():
    rng = np.random.default_rng(3)
    image = points(rng)
    lengths = []
    for cutoff, noise in ((0.15, 0.01), (0.3, 0.01), (0.3, 0.1)):
        truth = band_limited(image, cutoff)
        lengths.append(frc_resolution(frc(truth + noise * rng.normal(size=truth.shape), truth)))
        assert lengths[-1] > 0.9 / cutoff  # nothing beyond the cut-off, but for the width of a ring
    assert lengths[1] < 0.6 * lengths[0]
    assert lengths[2] > lengths[1]


@pytest.mark.parametrize("cutoff", [0.1, 0.15, 0.25, 0.35])
@pytest.mark.parametrize("noise", [0.002, 0.02])
def test_decorrelation_finds_the_cut_off(cutoff, noise):
    """The paper says a few per cent above the cut-off's length, whatever the noise."""
    rng = np.random.default_rng(4)
    image = band_limited(points(rng), cutoff)
    length = decorrelation(image + noise * rng.normal(size=image.shape))
    assert 0.95 / cutoff < length < 1.35 / cutoff


def test_decorrelation_ignores_brightness_and_knows_noise():
    rng = np.random.default_rng(5)
    image = gaussian_filter(points(rng), 2) + 0.001 * rng.normal(size=(192, 192))
    assert decorrelation(700 * image + 90) == pytest.approx(decorrelation(image))
    assert decorrelation(rng.normal(size=(128, 128))) == float("inf")


def decorrelation_by_definition(image, radius):
    spectrum = np.fft.fft2(image)
    normalised = spectrum / np.abs(spectrum)
    r = 2 * np.hypot(np.fft.fftfreq(len(image))[:, None], np.fft.fftfreq(len(image))[None])
    disc, whole = (r > 0) & (r <= radius), (r > 0) & (r <= 1)
    shared = (spectrum * normalised.conj()).real[disc].sum()
    return shared / np.sqrt((np.abs(spectrum[whole]) ** 2).sum() * disc.sum())


def test_first_peak_is_that_of_the_definition(monkeypatch):
    monkeypatch.setattr("bayesdl_sim.metrics.resolution.EDGE", 0.0)
    monkeypatch.setattr("bayesdl_sim.metrics.resolution.FILTERS", 0)
    rng = np.random.default_rng(6)
    image = band_limited(points(rng, 96), 0.2) + 0.01 * rng.normal(size=(96, 96))
    image -= image.mean()
    radii = np.arange(1, 101) / 100
    with np.errstate(invalid="ignore"):  # the smallest discs are empty
        curve = [decorrelation_by_definition(image, radius) for radius in radii]
    assert decorrelation(image) == pytest.approx(2 / radii[int(np.nanargmax(curve))])


def test_what_has_no_resolution_is_refused():
    with pytest.raises(InputError, match="16 x 16"):
        decorrelation(np.eye(8))
    with pytest.raises(InputError, match="constant"):
        decorrelation(np.ones((32, 32)))
    with pytest.raises(InputError, match="the same size"):
        frc(np.eye(32), np.eye(33))
    with pytest.raises(InputError, match="threshold"):
        frc_resolution(frc(np.eye(32), np.eye(32)), "1/2")
