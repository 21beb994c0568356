"""A case is predicted as `Posterior.predict` predicts it, on the scale of the case."""

import math

import numpy as np
import pytest
import torch

from bayesdl_sim.data.normalise import normalisation_of
from bayesdl_sim.evaluation.cases import Case
from bayesdl_sim.evaluation.fringes import posterior_mean
from bayesdl_sim.evaluation.predicting import (
    Evaluated,
    Sampling,
    nested_samples,
    predict_case,
    prepared_case,
)
from bayesdl_sim.evaluation.scenes import simulated_cells
from bayesdl_sim.inference.posterior import Posterior
from tests.conftest import save_random_members


@pytest.fixture
def posterior(tmp_path):
    """Two small members with tails and a first guess."""
    save_random_members(tmp_path, guess=True)
    return Posterior.load(tmp_path, "cpu", precision="fp32")


@pytest.fixture(scope="module")
def spotted():
    """A case with a bead twenty times as bright as its structure."""
    (scene,) = simulated_cells(seed=4243, cells=1, levels=1, size=96)
    place, plain = np.arange(96.0), scene.raw[0].numpy()
    bead = np.exp(-((place[:, None] - 40) ** 2 + (place - 60) ** 2) / (2 * 1.2**2))
    raw = plain + 20 * np.ptp(plain.mean(axis=0)) * bead
    raw = raw.astype(np.float32)
    return Case(
        cell=1,
        level=1,
        structure=scene.name,
        signal_e=scene.signals[0],
        raw=raw,
        norm=normalisation_of(raw),
        target=scene.target.astype(np.float32),
        optics=None,
        illumination=None,
        pixel_size_nm=65.0,
    )


def test_a_spot_is_dimmed_for_the_networks_and_undimmed_in_the_case(posterior, spotted):
    prepared = prepared_case(spotted, posterior)
    assert prepared.dimming(0) is not None
    assert prepared.norm(0).scale < 0.5 * spotted.norm.scale
    maps, sample = predict_case(spotted, Evaluated("ours", posterior), Sampling())
    expected = posterior.predict(torch.from_numpy(spotted.raw)[None], calibrated=False)
    factor = prepared.norm(0).scale / spotted.norm.scale
    offset = (prepared.norm(0).low - spotted.norm.low) / spotted.norm.scale
    np.testing.assert_allclose(
        maps.mean, factor * expected.mean[0, 0].numpy() + offset, rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(
        maps.total, factor * expected.total[0, 0].numpy(), rtol=1e-4, atol=1e-6
    )
    mean = posterior_mean(posterior, torch.from_numpy(spotted.raw))
    np.testing.assert_allclose(mean, maps.mean, rtol=1e-4, atol=1e-5)
    # Draws of the members' mixture scatter about the mean that they stand for.
    width = np.maximum(sample.sigma, 1e-6) / math.sqrt(len(sample.draws))
    assert np.median(np.abs(sample.draws.mean(axis=0) - sample.mean) / width) < 3
    level = float(prepared.haze(0).mean()) / spotted.norm.scale  # stays in both
    assert abs(np.median(sample.draws.mean(axis=0) - sample.mean)) < 0.2 * level


def test_nested_samples_end_with_those_of_all_members(posterior, spotted):
    (_, last) = nested_samples(spotted, Evaluated("ours", posterior), Sampling())
    _, sample = predict_case(spotted, Evaluated("ours", posterior), Sampling())
    np.testing.assert_allclose(last.mean, sample.mean, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(last.sigma, sample.sigma, rtol=1e-4, atol=1e-6)
