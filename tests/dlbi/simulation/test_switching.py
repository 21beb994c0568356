"""Switching against the closed forms of its Markov chain."""

import numpy as np
import pytest
import torch

from bayesdl_sim.dlbi.simulation.switching import FLUOROPHORES, Fluorophore, sample_states
from bayesdl_sim.utils.errors import InputError

COUNT, FRAMES = 4000, 120


def emission(name, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return sample_states(FLUOROPHORES[name], COUNT, FRAMES, generator) == 0


def lag_correlation(fluorophore):
    """Correlation of emission in neighbouring frames, without bleaching: p1 - p3."""
    return fluorophore.p1 - fluorophore.p3


@pytest.mark.parametrize("name", ["mEos3.2", "slow", "sparse"])
def test_on_fraction_is_that_of_the_stationary_chain(name):
    on = emission(name).float().mean(dim=1)
    error = on.std() / COUNT**0.5
    assert abs(on.mean() - FLUOROPHORES[name].on_fraction) < 4 * error


@pytest.mark.parametrize("name", ["mEos3.2", "slow"])
def test_correlation_of_neighbouring_frames(name):
    on = emission(name).double()
    p = FLUOROPHORES[name].on_fraction
    products = (on[:, 1:] - p) * (on[:, :-1] - p) / (p * (1 - p))
    each = products.mean(dim=1)
    assert abs(each.mean() - lag_correlation(FLUOROPHORES[name])) < 4 * each.std() / COUNT**0.5


def test_the_published_table_is_nearly_white():
    fluorophore = FLUOROPHORES["mEos3.2"]
    eigenvalues = np.sort(np.linalg.eigvals(fluorophore.transition[:2, :2]))
    np.testing.assert_allclose(eigenvalues, [-0.095, 1.0], atol=1e-12)
    assert lag_correlation(fluorophore) == pytest.approx(-0.095)


def test_dwell_time():
    on = emission("slow").numpy()
    starts = np.diff(on.astype(int), axis=1) == 1
    # Complete runs only; those that end soon after the start of a movie are not all of them.
    lengths = []
    for row, begin in zip(*np.nonzero(starts[:, :60]), strict=True):
        run = on[row, begin + 1 :]
        lengths.append(run.argmin() if not run.all() else len(run))
    lengths = np.array(lengths)
    error = lengths.std() / len(lengths) ** 0.5
    assert abs(lengths.mean() - 1 / FLUOROPHORES["slow"].p2) < 5 * error


def test_bleaching_follows_the_powers_of_the_table():
    fluorophore = FLUOROPHORES["bleaching"]
    on = emission("bleaching").float().mean(dim=0).numpy()
    expected = fluorophore.expected_emission(FRAMES)
    error = np.sqrt(expected * (1 - expected) / COUNT)
    assert np.all(np.abs(on - expected) < 5 * error)
    assert expected[-1] < 0.7 * expected[0]


def test_the_bleached_state_is_never_left():
    generator = torch.Generator().manual_seed(3)
    states = sample_states(FLUOROPHORES["bleaching"], 300, 200, generator)
    gone = states == 2
    assert gone.any()
    assert bool((gone[:, 1:] >= gone[:, :-1]).all())


def test_rows_of_every_table_add_up_to_one():
    for fluorophore in FLUOROPHORES.values():
        np.testing.assert_allclose(fluorophore.transition.sum(axis=1), 1)
        assert fluorophore.initial.sum() == pytest.approx(1)


def test_same_seed_same_states():
    assert torch.equal(emission("mEos3.2", 5), emission("mEos3.2", 5))
    assert not torch.equal(emission("mEos3.2", 5), emission("mEos3.2", 6))


@pytest.mark.parametrize("table", [{"p1": 1.2, "p3": 0.1}, {"p1": 0.5, "p3": 0.9, "p5": 0.2}])
def test_a_table_that_is_none_is_refused(table):
    with pytest.raises(InputError, match="expected a probability"):
        Fluorophore(**table)


def test_a_fluorophore_that_never_switches_is_refused():
    with pytest.raises(InputError, match="switches"):
        Fluorophore(p1=1.0, p3=0.0)
