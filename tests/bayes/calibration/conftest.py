"""Cells whose errors are known multiples of what was stated."""

import numpy as np
import pytest

from bayesdl_sim.bayes.calibration.fitting import CalibrationStack
from bayesdl_sim.bayes.calibration.image_features import features_of


def cells(number, seed=0, factor=1.0, pixels=3000, skewed=False):
    """(error, sigma) of cells whose true deviation is `factor` times the stated one."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(number):
        sigma = rng.uniform(0.02, 0.3, pixels)
        noise = rng.exponential(size=pixels) - 1 if skewed else rng.normal(size=pixels)
        found.append([CalibrationStack(factor * sigma * noise, sigma)])
    return found


def with_features(number, slope, contrast=None, seed=0, pixels=2000):
    """Cells of one stack; `z^2` goes with the contrast to the power of `slope`."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(number):
        log_contrast = rng.uniform(-3, 0) if contrast is None else contrast
        mean = np.exp(log_contrast) * rng.normal(size=pixels)
        sigma = np.exp(rng.uniform(-3, 0)) * rng.uniform(0.5, 1.5, pixels)
        hard = np.exp(
            0.5 * (slope * (log_contrast + 1.5) + rng.normal(0, 0.3 * (contrast is None)))
        )
        error = hard * sigma * rng.normal(size=pixels)
        found.append([CalibrationStack(error, sigma, features_of(mean, sigma))])
    return found


@pytest.fixture(name="cells", scope="session")
def cells_fixture():
    """The function `cells`."""
    return cells


@pytest.fixture(name="with_features", scope="session")
def with_features_fixture():
    """The function `with_features`."""
    return with_features
