"""The intensity-only baseline: a function of the intensity, and a strong one."""

import numpy as np
import pytest

from bayesdl_sim.evaluation.baselines import fit_baselines, fit_intensity_sigma
from bayesdl_sim.utils.errors import InputError


def test_it_recovers_a_sigma_that_depends_on_the_intensity():
    rng = np.random.default_rng(0)
    intensity = rng.uniform(0, 1, 200_000)
    error = (0.02 + 0.1 * np.sqrt(intensity)) * rng.normal(size=intensity.size)
    fitted = fit_intensity_sigma(intensity, error)
    at = np.array([0.1, 0.4, 0.9])
    np.testing.assert_allclose(fitted(at), 0.02 + 0.1 * np.sqrt(at), rtol=0.05)
    # constant beyond the fitted range
    assert fitted(-3.0) == fitted.sigma[0]
    assert fitted(7.0) == fitted.sigma[-1]


def test_it_may_fall_with_the_intensity():
    rng = np.random.default_rng(1)
    intensity = rng.uniform(0, 1, 50_000)
    fitted = fit_intensity_sigma(intensity, (0.2 - 0.15 * intensity) * rng.normal(size=50_000))
    assert fitted(0.1) > 2 * fitted(0.9)


def test_constant_is_the_root_mean_square_error_and_nothing_is_certain():
    error = np.array([0.0, 0.0, 3.0, -4.0])
    baselines = fit_baselines(np.arange(4.0), error)
    assert baselines.constant == pytest.approx(2.5)
    assert baselines.intensity.sigma.min() > 0
    with pytest.raises(InputError, match="found 4 and 3"):
        fit_intensity_sigma(np.arange(4.0), error[:3])
