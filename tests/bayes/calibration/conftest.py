"""Cells whose errors are known multiples of what was stated."""

import numpy as np
import pytest

from bayesdl_sim.bayes.calibration.fitting import CalibrationStack
from bayesdl_sim.bayes.calibration.image_features import brightness_of, features_of


def cells(number, seed=0, factor=1.0, pixels=3000, skewed=False):
    """(error, sigma) of cells whose true deviation is `factor` times the stated one."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(number):
        sigma = rng.uniform(0.02, 0.3, pixels)
        noise = rng.exponential(size=pixels) - 1 if skewed else rng.normal(size=pixels)
        made.append([CalibrationStack(error=factor * sigma * noise, sigma=sigma)])
    return made


def with_features(number, slope, contrast=None, seed=0, pixels=2000):
    """Cells of one stack; `z^2` goes with the contrast to the power of `slope`."""
    rng, light = (np.random.default_rng(words) for words in (seed, [seed, 1]))
    made = []
    for _ in range(number):
        log_contrast = rng.uniform(-3, 0) if contrast is None else contrast
        mean = np.exp(log_contrast) * rng.normal(size=pixels)
        sigma = np.exp(rng.uniform(-3, 0)) * rng.uniform(0.5, 1.5, pixels)
        hard = np.exp(
            0.5 * (slope * (log_contrast + 1.5) + rng.normal(0, 0.3 * (contrast is None)))
        )
        error = hard * sigma * rng.normal(size=pixels)
        features = features_of(mean, sigma, 0.3 * sigma, np.exp(light.uniform(1, 5)))
        made.append([CalibrationStack(error=error, sigma=sigma, features=features)])
    return made


def with_structure(number, seed=0, pixels=4000):
    """Cells of dim stacks: deviations of the background are twice the errors, others are right.

    Three tenths of the pixels are structure, of brightness around 1; the rest is background.
    """
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(number):
        lit = rng.random(pixels) < 0.3
        mean = lit + 0.02 * rng.normal(size=pixels)
        sigma = np.exp(rng.uniform(-3, -1)) * rng.uniform(0.5, 1.5, pixels)
        error = np.where(lit, 1.0, 0.5) * sigma * rng.normal(size=pixels)
        stack = CalibrationStack(
            error=error,
            sigma=sigma,
            features=features_of(mean, sigma, 0.3 * sigma, 30.0),
            brightness=brightness_of(mean),
        )
        made.append([stack])
    return made


@pytest.fixture(name="cells", scope="session")
def cells_fixture():
    """The function `cells`."""
    return cells


@pytest.fixture(name="with_features", scope="session")
def with_features_fixture():
    """The function `with_features`."""
    return with_features


@pytest.fixture(name="with_structure", scope="session")
def with_structure_fixture():
    """The function `with_structure`."""
    return with_structure
