"""Correlation of a shifted band with the sample: heights, places and the device of the frames."""

import math

import pytest
import torch

from bayesdl_sim.physics.patterns.bands import separate
from bayesdl_sim.physics.patterns.correlation import (
    Sample,
    correlate,
    field_of,
    filtered,
    reference,
    refine,
    sample_of,
    values_at,
)
from bayesdl_sim.physics.patterns.measured import MeasuredFrames
from bayesdl_sim.physics.patterns.noise import noise_variance, noise_weight
from bayesdl_sim.physics.patterns.phases import NOMINAL, turned
from bayesdl_sim.physics.patterns.scores import score_map, searched_places


@pytest.fixture(scope="module")
def correlated(stand):
    """Reference, filtered band and field of the first orientation of a bright stack."""
    microscope = stand()
    frames = MeasuredFrames(microscope.stack(size=(120, 144))).frames
    noise = noise_variance(frames, microscope.optics)
    frames = frames / math.sqrt(noise)
    field = field_of(microscope.optics, noise_weight(frames))
    _, first = separate(frames, (NOMINAL,) * 3)
    sample = sample_of(field.spectra(frames.mean(dim=0)), field, 1 / 9)
    band = field.spectra(first[0])
    ref = reference(sample, band, field, 1 / 3)
    return microscope, ref, filtered(ref, band, field), field


@pytest.fixture(scope="module")
def product(correlated):
    _, ref, image, _ = correlated
    return image * ref.sample


def test_highest_score_is_the_wave_vector(correlated, product):
    microscope, ref, image, field = correlated
    score = score_map(ref, image, field)
    row, column = divmod(int(score.argmax()), score.shape[1])
    place = [(i + n // 2) % n - n // 2 for i, n in zip((row, column), score.shape, strict=True)]
    ky, kx = refine(ref, product, *(p / n for p, n in zip(place, score.shape, strict=True)))
    true_y, true_x = microscope.wave(0)
    assert min(abs(complex(ky - s * true_y, kx - s * true_x)) for s in (1, -1)) < 5e-4
    assert float(score.max()) > 20


def test_scores_of_noise_have_median_one(correlated):
    _, ref, image, field = correlated
    noise = torch.randn(*image.shape, 2, generator=torch.Generator().manual_seed(1))
    band = field.spectra(
        torch.view_as_complex(noise)[: field.window.shape[0], : field.window.shape[1]]
    )
    ref = reference(Sample(ref.sample, ref.sample), band, field, 2.0)
    scores = score_map(ref, filtered(ref, band, field), field).flatten()[
        searched_places(field).places
    ]
    assert 0.85 < float(scores.median()) < 1.02
    assert float(scores.max()) < 4.5


def test_few_bright_points_never_score_more_than_their_number(correlated):
    """Three points of any brightness agree on some wave vector by chance: that is no evidence."""
    _, ref, _, field = correlated
    points, band = torch.zeros(2, *field.inner.shape)
    for n, (row, column) in enumerate(((30, 40), (62, 90), (80, 35))):
        points[row, column] = (1.0, 0.9, 1.1)[n]
    blur = torch.fft.rfft2(points) * field.transfer[:, : points.shape[1] // 2 + 1]
    band = 1000 * torch.fft.irfft2(blur, s=tuple(points.shape))
    height, width = field.window.shape
    spectrum = field.spectra(band[:height, :width].to(torch.complex64))
    sample = sample_of(spectrum, field, 1e-3)
    ref = reference(sample, spectrum, field, 1.0)
    energy = math.log(2) * score_map(ref, filtered(ref, spectrum, field), field).square()
    assert 1.0 < float(energy.max()) < 3.5


def test_product_is_the_filtered_band_times_the_sample(correlated, product):
    _, ref, image, field = correlated
    band = torch.fft.fft2(image)
    assert torch.allclose(correlate(ref, band, field), filtered(ref, band, field) * ref.sample)


def test_values_at_whole_frequencies_are_those_of_the_fft(product):
    fast = torch.fft.fft2(product)
    rows, columns = (
        torch.tensor([k], dtype=torch.float64) / n
        for k, n in zip((5, 11), product.shape, strict=True)
    )
    value = complex(values_at(product[None], rows, columns))
    assert abs(value - complex(fast[5, 11])) < 1e-4 * float(fast.abs().max())


def test_turned_phases_make_the_correlation_real(correlated, product):
    ref = correlated[1]
    wave = refine(ref, product, 0.1, 0.24)
    phases = turned(NOMINAL, product, wave)
    turn = phases[0] - NOMINAL[0]
    again = turned(NOMINAL, product * torch.exp(torch.tensor(-1j * turn)), wave)
    assert again == pytest.approx([math.remainder(n, 2 * math.pi) for n in NOMINAL], abs=1e-3)


def test_single_precision_is_kept(correlated, product):
    _, ref, _, field = correlated
    assert {ref.sample.dtype, ref.weight.dtype, field.transfer.dtype} == {torch.float32}
    assert product.dtype == torch.complex64
