"""The guarantee itself, in simulation, and the smallest factor by brute force."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayesdl_sim.bayes.calibration.conformal import cells_needed, conformal_factor
from bayesdl_sim.utils.errors import InputError


def cells(rng, number, pixels=120):
    """Ratios |error| / sigma of cells that are over- or underconfident, each in its own way."""
    scales = np.exp(0.5 * rng.normal(size=number))
    return [scale * np.abs(rng.standard_t(4, size=pixels)) for scale in scales]


def miscoverage(ratios, factor):
    """The loss of each cell: the share of its pixels outside `factor` standard deviations."""
    return np.array([np.mean(np.asarray(values) > factor) for values in ratios])


@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.2])
def test_the_risk_on_new_cells_is_at_most_alpha(alpha):
    """200 repeats: fit on 25 cells, measure on 5 others."""
    rng = np.random.default_rng(7)
    risks, naive = [], []
    for _ in range(200):
        drawn = cells(rng, 30)
        factor = conformal_factor(drawn[:25], alpha)
        risks.append(miscoverage(drawn[25:], factor).mean())
        gauss = {0.05: 1.96, 0.1: 1.645, 0.2: 1.282}[alpha]
        naive.append(miscoverage(drawn[25:], gauss).mean())
    error = np.std(risks, ddof=1) / np.sqrt(len(risks))
    assert np.mean(risks) <= alpha + 2 * error
    # and not by an interval that is needlessly wide: the price is 1 / (n + 1)
    assert np.mean(risks) >= alpha - 1 / 26 - 3 * error
    assert np.mean(naive) > alpha + 2 * error  # the Gaussian interval breaks the promise here


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 6), min_size=1, max_size=5), min_size=1, max_size=12),
    st.sampled_from([0.1, 0.2, 0.3, 0.5]),
)
def test_factor_is_the_smallest_that_keeps_the_bound(ratios, alpha):
    n = len(ratios)
    candidates = sorted({0, *(value for cell in ratios for value in cell)})
    good = [
        value
        for value in candidates
        if n / (n + 1) * miscoverage(ratios, value).mean() + 1 / (n + 1) <= alpha + 1e-9
    ]
    factor = conformal_factor(ratios, alpha)
    if not good:
        assert factor is None
    else:
        values = [value for cell in ratios for value in cell]
        assert factor == max(good[0], min(values))


def test_too_few_cells_are_said_so():
    assert [cells_needed(alpha) for alpha in (0.05, 0.1, 0.2, 0.5)] == [19, 9, 4, 1]
    ratios = cells(np.random.default_rng(0), 8)
    assert conformal_factor(ratios, 0.1) is None
    # With just enough cells no pixel of any of them may lie outside.
    ratios = cells(np.random.default_rng(0), 9)
    assert conformal_factor(ratios, 0.1) == max(values.max() for values in ratios)


def test_cells_count_the_same_whatever_their_size():
    small, large = [np.full(3, 5.0)] * 2, [np.full(3000, 1.0)] * 8
    # 2 of 10 cells outside: too many for 0.2 of 11, although they hold few pixels
    assert conformal_factor([*small, *large], 0.2) == 5.0
    assert conformal_factor([*small[:1], *large, *large[:1]], 0.2) == 1.0


def test_wrong_input_is_refused():
    with pytest.raises(InputError, match="at least one cell"):
        conformal_factor([], 0.1)
    with pytest.raises(InputError, match="at least one cell"):
        conformal_factor([np.empty(0)], 0.1)
    with pytest.raises(InputError, match="NaN"):
        conformal_factor([np.full(3, np.nan)] * 20, 0.1)
    with pytest.raises(InputError, match="between 0 and 1"):
        conformal_factor([np.ones(3)], 1.5)
