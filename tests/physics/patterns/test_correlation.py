"""Correlation of a moved band with the sample: heights, places and the device of the frames."""

import math

import pytest
import torch

from bayesdl_sim.physics.patterns.bands import prepare, separate
from bayesdl_sim.physics.patterns.correlation import (
    correlate,
    field_of,
    reference,
    refine,
    sample_of,
    score_map,
    values_at,
)
from bayesdl_sim.physics.patterns.noise import noise_variance, noise_weight
from bayesdl_sim.physics.patterns.phases import NOMINAL, turned


@pytest.fixture(scope="module")
def correlated(stand):
    """Reference, product and field of the first orientation of a bright stack."""
    microscope = stand()
    frames = prepare(microscope.stack(size=(120, 144)))
    noise = noise_variance(frames, microscope.optics)
    frames = frames / math.sqrt(noise)
    field = field_of(microscope.optics, noise_weight(frames))
    _, first = separate(frames, (NOMINAL,) * 3)
    sample = sample_of(field.spectra(frames.mean(dim=0)), field, 1 / 9)
    band = field.spectra(first[0])
    ref = reference(sample, band, field, 1 / 3)
    return microscope, ref, correlate(ref, band, field), field


def test_highest_score_is_the_wave_vector(correlated):
    microscope, ref, product, field = correlated
    score = score_map(ref, product, field)
    row, column = divmod(int(score.argmax()), score.shape[1])
    place = [(i + n // 2) % n - n // 2 for i, n in zip((row, column), score.shape, strict=True)]
    ky, kx = refine(ref, product, *(p / n for p, n in zip(place, score.shape, strict=True)))
    true_y, true_x = microscope.wave(0)
    assert min(abs(complex(ky - s * true_y, kx - s * true_x)) for s in (1, -1)) < 5e-4
    assert float(score.max()) > 20


def test_scores_of_noise_have_median_one(correlated):
    _, ref, product, field = correlated
    score = score_map(ref, product, field).flatten()[field.places]
    assert float(score.median()) == pytest.approx(1.0, abs=0.02)


def test_values_at_whole_frequencies_are_those_of_the_fft(correlated):
    _, _, product, _ = correlated
    fast = torch.fft.fft2(product)
    rows, columns = (
        torch.tensor([k], dtype=torch.float64) / n
        for k, n in zip((5, 11), product.shape, strict=True)
    )
    value = complex(values_at(product[None], rows, columns))
    assert abs(value - complex(fast[5, 11])) < 1e-4 * float(fast.abs().max())


def test_turned_phases_make_the_correlation_real(correlated):
    _, ref, product, _ = correlated
    wave = refine(ref, product, 0.1, 0.24)
    phases = turned(NOMINAL, product, wave)
    turn = phases[0] - NOMINAL[0]
    again = turned(NOMINAL, product * torch.exp(torch.tensor(-1j * turn)), wave)
    assert again == pytest.approx([math.remainder(n, 2 * math.pi) for n in NOMINAL], abs=1e-3)


def test_single_precision_is_kept(correlated):
    _, ref, product, field = correlated
    assert {ref.sample.dtype, ref.weight.dtype, field.transfer.dtype} == {torch.float32}
    assert product.dtype == torch.complex64
