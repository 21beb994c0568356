"""The prior on functions: chains agree on the data, differ by their gains where there are none."""

import numpy as np
import pytest
import torch

from bayesdl_sim.bayes.functional_prior import prior_function
from bayesdl_sim.utils.errors import InputError

GAIN = 0.3


def test_antithetic_prior_functions_average_to_the_truth():
    target = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    brighter, darker = prior_function(target, GAIN), prior_function(target, -GAIN)
    torch.testing.assert_close((brighter + darker) / 2, target)
    torch.testing.assert_close(brighter / darker, torch.full_like(target, 1.3 / 0.7))


@pytest.mark.parametrize("gain", [-1.0, -2.5])
def test_a_gain_that_inverts_the_image_is_refused(gain):
    with pytest.raises(InputError, match="above -1"):
        prior_function(torch.ones(1, 1, 2, 2), gain)


def test_spread_grows_away_from_the_data_and_stays_small_on_them():
    """A linear model, least squares: data in one subspace, outliers with a part outside of it."""
    rng = np.random.default_rng(0)
    truth = rng.normal(size=6)
    data = rng.normal(size=(400, 6)) * [1, 1, 1, 0.01, 0.01, 0.01]
    inputs = rng.normal(size=(200, 6)) * [0.01, 0.01, 0.01, 1, 1, 1]
    unseen = rng.normal(size=(50, 6)) * [0.01, 0.01, 0.01, 1, 1, 1]

    def chain(gain):
        prior = prior_function(torch.from_numpy(inputs @ truth), gain).numpy()
        x, y = np.concatenate([data, inputs]), np.concatenate([data @ truth, prior])
        return np.linalg.lstsq(x, y, rcond=None)[0]

    chains = np.stack([chain(GAIN), chain(-GAIN)])
    on_data, away = (np.std(chains @ x.T, axis=0, ddof=1) for x in (data, unseen))
    assert np.median(on_data) < 0.02 * np.median(np.abs(data @ truth))
    np.testing.assert_allclose(away, np.sqrt(2) * GAIN * np.abs(unseen @ truth), atol=0.05)
    np.testing.assert_allclose(chains.mean(axis=0), truth, atol=1e-9)  # no bias
