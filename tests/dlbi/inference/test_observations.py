"""Arguments of the exact core: the wrong ones are refused by their name."""

import numpy as np
import pytest
import torch

from bayesdl_sim.dlbi.fhmm import StateSampler
from bayesdl_sim.dlbi.inference.observations import (
    LARGEST_RADIUS,
    noise_of,
    numpy_generator,
    one_draw_of,
    per_spot,
    radius_of,
    widths_of,
)
from bayesdl_sim.utils.errors import InputError

TABLE, INITIAL = [[0.5, 0.5, 0], [0.3, 0.65, 0.05], [0, 0, 1]], [0.5, 0.5, 0]


def sampler(**options):
    movie = np.random.default_rng(0).normal(size=(6, 9, 9))
    return StateSampler(movie, [[4.0, 4.0]], 3.0, 1.0, 0.0, 1.0, TABLE, INITIAL, **options)


def test_the_default_radius_is_five_widths():
    assert radius_of(None, np.array([1.1, 2.3])) == 12
    assert radius_of(None, np.array([])) == 5
    assert radius_of(np.int64(3), np.array([2.0])) == 3


@pytest.mark.parametrize("radius", [-1, 0, 1.5, 2.0, "a", True, LARGEST_RADIUS + 1])
def test_a_radius_is_a_whole_number_of_pixels(radius):
    with pytest.raises(InputError, match="radius: expected a whole number of pixels from 1 to"):
        sampler(radius=radius)


def test_spots_wider_than_any_field_are_refused_before_they_take_memory():
    with pytest.raises(InputError, match="width: expected at most 200 pixels, found 1e"):
        radius_of(None, np.array([1e6]))


@pytest.mark.parametrize("states", [np.ones((2, 6)), np.ones((1, 5)), np.ones((3, 1, 6)), [1]])
def test_a_chain_starts_from_one_draw(states):
    with pytest.raises(InputError, match="states: expected "):
        sampler(states=states)


def test_states_of_several_lengths():
    with pytest.raises(InputError, match="rows of several lengths"):
        one_draw_of([[0, 1], [1]], 2, 2)


@pytest.mark.parametrize("generator", [0, None, "seed"])
def test_a_seed_is_no_generator(generator):
    with pytest.raises(InputError, match=r"generator: expected .*default_rng\(seed\) makes one"):
        sampler().sweep(generator)


def test_both_kinds_of_generators():
    own = np.random.default_rng(0)
    assert numpy_generator(own) is own
    seeded = [numpy_generator(torch.Generator().manual_seed(3)).random() for _ in range(2)]
    assert seeded[0] == seeded[1]


@pytest.mark.parametrize(
    ("check", "name"),
    [
        (lambda: noise_of(1e-200, (4, 4)), "sigma: expected positive numbers, 1e-60 or more"),
        (lambda: noise_of(1e200, (4, 4)), "sigma: expected numbers of at most 1e"),
        (lambda: widths_of(1e-200, 2), "width: expected positive numbers, 1e-60 or more"),
        (lambda: per_spot(-1e200, 2, "amplitude"), "amplitude: expected numbers of at most 1e"),
    ],
)
def test_numbers_whose_squares_float64_does_not_hold_are_named(check, name):
    """They used to end in a message on the transition matrix, which was right."""
    with pytest.raises(InputError, match=name):
        check()


@pytest.mark.parametrize("unit", [1e-20, 1e20])
def test_the_unit_of_the_movie_does_not_matter(unit):
    movie = np.random.default_rng(1).normal(size=(6, 9, 9)) + 1
    draws = [
        StateSampler(s * movie, [[4.0, 4.0]], 3 * s, 1.0, s, s, TABLE, INITIAL).sweep(
            np.random.default_rng(2)
        )
        for s in (1.0, unit)
    ]
    np.testing.assert_array_equal(*draws)
