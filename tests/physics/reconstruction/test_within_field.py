"""The fit within the field solves its normal equations, and mends what a border spoils."""

import pytest
import torch

from bayesdl_sim.metrics.images import affine_fit
from bayesdl_sim.physics.reconstruction import within_field
from bayesdl_sim.physics.reconstruction.band_model import BandModel
from bayesdl_sim.physics.reconstruction.wiener import wiener_sim
from bayesdl_sim.physics.reconstruction.within_field import fitted_within

torch.set_num_threads(1)


def fitted(stand, steps, monkeypatch, gap=None):
    """Model, right-hand side, mask, strength and solution of a small field."""
    monkeypatch.setattr(within_field, "STEPS", steps)
    one = stand(modulation=0.5)
    frames = one.stack(signal_e=100.0)[:, :32, :40].double() - 100.0
    missing = torch.zeros(32, 40, dtype=torch.bool)
    if gap is not None:
        missing[gap] = True
    model = BandModel((32, 40), one.optics, one.light, frames)
    strength = torch.full_like(model.gain, 0.01 * float(model.gain.max()))
    bands = model.separated(frames)
    start = model.added(model.mirrored(bands)) / (model.gain + strength)
    inside = model.padded((~missing).double())
    right = model.added([model.padded(band) * inside for band in bands])
    return model, right, inside, strength, fitted_within(model, start, bands, missing, strength)


@pytest.mark.parametrize("gap", [None, (slice(5, 9), slice(10, 30))])
def test_it_converges_to_the_solution(stand, monkeypatch, gap):
    rests = []
    for steps in (0, 8, 120):
        model, right, inside, strength, image = fitted(stand, steps, monkeypatch, gap)
        rest = right - model.normal(image, inside) - strength * image
        rests.append(float(rest.abs().square().sum() / right.abs().square().sum()))
    assert rests[1] < 0.05 * rests[0]
    assert rests[2] < 1e-9 * rests[0]


def _error(image, target, part):
    difference = affine_fit(image.numpy(), target) - target
    return float((difference[part] ** 2).mean())


def test_borders_are_as_good_as_the_light_that_reaches_them_allows(stand):
    one = stand(modulation=0.5)
    raw, square = one.stack(signal_e=200.0), slice(32, 96)
    target, light = one.target().numpy()[64:192, 64:192], one.field_light()
    whole = wiener_sim(raw, one.optics, light)[64:192, 64:192]
    light = light.seen_from(32, 32)
    plain, within = (
        wiener_sim(raw[:, square, square], one.optics, light, borders=b) for b in (False, True)
    )
    rim = (slice(0, 8), slice(8, -8))
    errors = [_error(image, target, rim) for image in (whole, within, plain)]
    assert errors[0] < errors[1] < 0.7 * errors[2]
    middle = (slice(32, -32), slice(32, -32))
    assert _error(within, target, middle) == pytest.approx(_error(plain, target, middle), rel=0.05)


def test_what_a_gap_was_filled_with_does_not_count(stand):
    one = stand(modulation=0.5)
    raw, target = one.stack(signal_e=200.0), one.target().numpy()
    gap = torch.zeros(128, 128, dtype=torch.bool)
    gap[60:68] = True
    raw[:, gap] = float("nan")
    images = [wiener_sim(raw, one.optics, one.field_light(), borders=b) for b in (False, True)]
    beside = (slice(104, 118), slice(8, -8))
    plain, within = (_error(image, target, beside) for image in images)
    assert within < 0.9 * plain
