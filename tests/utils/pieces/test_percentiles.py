"""Percentiles of pieces are those of the whole."""

import numpy as np
import pytest

from bayesdl_sim.utils.pieces.percentiles import percentiles_of

SHARES = (0, 0.1, 5, 33.3, 50, 99, 99.9, 100)


@pytest.mark.parametrize("kind", ["normal", "counts", "one value", "few"])
def test_they_are_those_of_numpy(kind):
    rng = np.random.default_rng(3)
    values = {
        "normal": rng.normal(-0.1, 2.0, 9_001),
        "counts": rng.poisson(140.0, 20_000),
        "one value": np.full(7, -3.5),
        "few": np.array([2.0, -0.0, -1e-30, 7.0]),
    }[kind].astype(np.float32)
    percentiles = percentiles_of(lambda: np.array_split(values, 3), SHARES)
    np.testing.assert_allclose(percentiles, np.percentile(values.astype(float), SHARES), rtol=1e-6)


def test_no_values_are_an_error():
    with pytest.raises(ValueError, match="at least one value"):
        percentiles_of(lambda: [np.empty((0, 3), np.float32)], (50,))
