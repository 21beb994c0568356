"""First guesses from cumulants, on movies of known fluorophores."""

import numpy as np
import pytest

from bayesdl_sim.dlbi.inference.chains import Switching
from bayesdl_sim.dlbi.sampling.priors import (
    blinking_of,
    expected_emission,
    learned_switching,
)
from tests.dlbi.toys import BACKGROUND, BRIGHTNESS, SPARSE, WIDTH, blink, toy

OFTEN = np.array([[0.3, 0.7, 0.0], [0.4, 0.6, 0.0], [0.0, 0.0, 1.0]])


@pytest.fixture(scope="module")
def crowd():
    """Two hundred emitters that are often on."""
    positions = 3 + np.random.default_rng(1).random((200, 2)) * 24
    return toy(positions, frames=300, shape=(30, 30), table=OFTEN)


def test_brightness_and_number_of_known_fluorophores(crowd):
    known = Switching(OFTEN, [4 / 11, 7 / 11, 0])
    blinking = blinking_of(crowd.movie, BACKGROUND, WIDTH, known)
    assert blinking.brightness.mean == pytest.approx(BRIGHTNESS, rel=0.15)
    assert blinking.fluorophores == pytest.approx(200, rel=0.2)


def test_switching_is_guessed(crowd):
    blinking = blinking_of(crowd.movie, BACKGROUND, WIDTH)
    assert blinking.switching.emitting_fraction == pytest.approx(4 / 11, abs=0.15)
    table = blinking.switching.transition
    assert table[0, 0] - table[1, 0] == pytest.approx(-0.1, abs=0.1)
    np.testing.assert_allclose(table.sum(1), 1)


def test_slow_blinking_is_noticed():
    slow = np.array([[0.9, 0.1, 0.0], [0.05, 0.95, 0.0], [0.0, 0.0, 1.0]])
    positions = 3 + np.random.default_rng(1).random((60, 2)) * 24
    movie = toy(positions, frames=300, shape=(30, 30), table=slow).movie
    table = blinking_of(movie, BACKGROUND, WIDTH).switching.transition
    assert table[0, 0] - table[1, 0] > 0.5


def test_what_is_known_is_kept(sparse_toy):
    known = Switching(SPARSE, [0.1, 0.9, 0])
    blinking = blinking_of(sparse_toy.movie, BACKGROUND, WIDTH, known, 321.0)
    assert blinking.switching is known
    assert blinking.brightness.mean == 321.0


def test_fading_light_is_bleaching(crowd):
    fading = crowd.movie - BACKGROUND
    fading = fading * np.exp(-0.005 * np.arange(len(fading)))[:, None, None] + BACKGROUND
    bleaching = blinking_of(fading, BACKGROUND, WIDTH).switching.transition[1, 2]
    assert 0.002 < bleaching < 0.02
    assert blinking_of(crowd.movie, BACKGROUND, WIDTH).switching.transition[1, 2] < 0.002


def test_expected_emission_is_the_mean_over_frames():
    table = Switching([[0.5, 0.5, 0], [0.3, 0.6, 0.1], [0, 0, 1]], [0.4, 0.6, 0])
    law = np.array([0.4, 0.6, 0])
    shares = []
    for _ in range(12):
        shares.append(law[0])
        law = law @ table.transition
    assert expected_emission(table, 12) == pytest.approx(np.mean(shares))


def test_table_is_learned_from_transitions():
    truth = np.array([[0.6, 0.4, 0.0], [0.1, 0.9, 0.0], [0.0, 0.0, 1.0]])
    states = blink(300, 400, truth, np.random.default_rng(0))
    present = np.ones(300, dtype=bool)
    prior = Switching(SPARSE, [0.1, 0.9, 0])
    learned = learned_switching(states, present, prior).transition
    np.testing.assert_allclose(learned, truth, atol=0.02)
    kept = learned_switching(states, ~present, prior).transition
    np.testing.assert_allclose(kept, SPARSE)


def test_emitters_that_never_switch_keep_their_first_law():
    states = np.ones((20, 50), dtype=int)
    frozen = Switching(np.eye(3), [0.1, 0.7, 0.2])
    learned = learned_switching(states, np.ones(20, dtype=bool), frozen)
    np.testing.assert_array_equal(learned.transition, np.eye(3))
    np.testing.assert_array_equal(learned.initial, frozen.initial)
