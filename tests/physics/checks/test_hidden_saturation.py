"""Saturation is found below a correction of every pixel, and never in counts that tie by chance."""

import pytest
import torch

from bayesdl_sim.physics.checks.hidden_saturation import hidden_saturation


@pytest.fixture(scope="module")
def good(stand):
    return stand(modulation=0.4).stack(size=(144, 144), signal_e=60.0, kind="MT")


def saturated(raw, share):
    return raw.clamp(max=float(raw.flatten().quantile(1 - share)))


def scatter(spread):
    return spread * torch.randn(144, 144, generator=torch.Generator().manual_seed(6))


CORRECTIONS = {
    "a gain of 1 %": lambda raw: ((1 + scatter(0.01)) * raw).round(),
    "a gain of 0.3 %, as floats": lambda raw: (1 + scatter(0.003)) * raw / 65535,
    "an offset of 2 counts": lambda raw: raw - scatter(2.0).round(),
}


@pytest.mark.parametrize("correction", CORRECTIONS)
@pytest.mark.parametrize("share", [0.005, 0.01, 0.03, 0.1])
def test_saturation_before_a_correction_is_measured(good, correction, share):
    values = CORRECTIONS[correction](saturated(good, share)).flatten(1)
    assert hidden_saturation(values) == pytest.approx(share, rel=0.25)


@pytest.mark.parametrize("correction", CORRECTIONS)
def test_a_correction_alone_is_no_saturation(good, correction):
    assert hidden_saturation(CORRECTIONS[correction](good).flatten(1)) == 0.0


@pytest.mark.parametrize("levels", [8, 32, 256])
def test_few_grey_levels_are_no_saturation(good, levels):
    values = ((levels - 1) * (good - good.min()) / (good.max() - good.min())).round()
    assert hidden_saturation(values.flatten(1)) == 0.0


@pytest.mark.parametrize("light", [0.2, 1.0, 5.0, 40.0])
def test_photons_counted_in_dim_light_are_no_saturation(light):
    expected = light * torch.linspace(0.1, 2.0, 8000).expand(9, -1)
    counts = torch.poisson(expected, generator=torch.Generator().manual_seed(2))
    assert hidden_saturation(counts) == 0.0


def test_too_few_pixels_tell_nothing(good):
    assert hidden_saturation(saturated(good, 0.1).flatten(1)[:, :3000]) == 0.0
