"""The exact core against brute force: every sequence of states of one to three fluorophores."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bayesdl_sim.dlbi.fhmm import (
    StateSampler,
    log_evidence_gradient,
    single_chain,
    spot_images,
)
from bayesdl_sim.dlbi.inference.chains import Switching
from bayesdl_sim.dlbi.inference.expectations import enumerated
from bayesdl_sim.utils.errors import InputError

TABLE = np.array([[0.5, 0.49, 0.01], [0.3, 0.65, 0.05], [0.0, 0.0, 1.0]])
TABLE[0] = [0.55, 0.45, 0.0]
INITIAL = np.array([0.4, 0.5, 0.1])
SIGMA = 0.7
SHAPE = (6, 7)
CLOSE = np.array([[2.2, 2.6], [3.1, 3.3], [2.4, 3.9]])  # all overlap


def chain_probability(states, table, initial):
    chance = initial[states[0]]
    for before, now in itertools.pairwise(states):
        chance *= table[before, now]
    return chance


def brute_force(movie, spots, background, sigma, table, initial):
    """Log evidence and marginals (N, T, 3), from every sequence of every joint state."""
    count, frames = len(spots), len(movie)
    paths = list(itertools.product(range(3), repeat=frames))
    priors = [chain_probability(path, table, initial) for path in paths]
    logs, chosen = [], []
    for combination in itertools.product(range(len(paths)), repeat=count):
        prior = np.prod([priors[i] for i in combination])
        if prior == 0:
            continue
        states = np.array([paths[i] for i in combination])
        light = np.einsum("nt,nhw->thw", states == 0, spots) + background
        log_density = -(((movie - light) / sigma) ** 2 / 2 + np.log(sigma * np.sqrt(2 * np.pi)))
        logs.append(np.log(prior) + log_density.sum())
        chosen.append(states)
    logs, chosen = np.array(logs), np.array(chosen)
    log_evidence = np.logaddexp.reduce(logs)
    weights = np.exp(logs - log_evidence)
    marginals = np.stack([np.einsum("p,pnt->nt", weights, chosen == s) for s in range(3)], axis=-1)
    return log_evidence, marginals


def toy_movie(positions, frames=3, seed=0, amplitude=6.0, width=1.1, background=0.5):
    generator = np.random.default_rng(seed)
    spots = spot_images(positions, amplitude, width, SHAPE)
    emitting = generator.random((len(positions), frames)) < 0.5
    light = np.einsum("nt,nhw->thw", emitting, spots) + background
    return light + SIGMA * generator.normal(size=light.shape), spots


# Spots.


def test_a_spot_adds_up_to_its_amplitude():
    images = spot_images([[20.3, 18.6], [17.0, 20.5]], [3.0, 5.0], [1.0, 2.1], (40, 40))
    np.testing.assert_allclose(images.sum((1, 2)), [3.0, 5.0], atol=1e-6)


def test_a_spot_has_its_centre_and_width():
    (image,) = spot_images([[20.3, 18.6]], 1.0, 1.4, (40, 40))
    rows, columns = np.mgrid[:40, :40]
    assert (image * rows).sum() == pytest.approx(20.3, abs=1e-9)
    assert (image * columns).sum() == pytest.approx(18.6, abs=1e-9)
    assert (image * (rows - 20.3) ** 2).sum() == pytest.approx(1.4**2, abs=1e-6)


def test_light_beyond_the_border_is_lost():
    (image,) = spot_images([[0.0, 20.0]], 1.0, 1.5, (40, 40))
    on_the_border = image[0].sum()
    assert image.sum() == pytest.approx((1 + on_the_border) / 2, abs=1e-9)


def test_spots_are_evaluated_at_pixel_centres():
    (image,) = spot_images([[2.0, 3.0]], 2.0, 0.8, (6, 7))
    assert image[2, 3] == pytest.approx(2.0 / (2 * np.pi * 0.8**2), rel=1e-12)
    assert image[4, 3] == pytest.approx(image[2, 3] * np.exp(-(2**2) / (2 * 0.8**2)), rel=1e-12)


# One chain.


@given(
    log_odds=st.lists(st.floats(-30, 30), min_size=1, max_size=4),
    on=st.floats(0.01, 0.99),
    off=st.floats(0.01, 0.99),
    bleach=st.floats(0, 0.5),
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_single_chain_equals_enumeration(log_odds, on, off, bleach):
    table = np.array([[1 - off, off, 0], [on * (1 - bleach), (1 - on) * (1 - bleach), bleach]])
    table = np.vstack([table, [0, 0, 1]])
    frames = len(log_odds)
    total, marginals = 0.0, np.zeros((frames, 3))
    for path in itertools.product(range(3), repeat=frames):
        weight = chain_probability(path, table, INITIAL)
        weight *= np.exp(sum(odds for odds, s in zip(log_odds, path, strict=True) if s == 0))
        total += weight
        marginals[np.arange(frames), path] += weight
    log_evidence, chain_marginals = single_chain(log_odds, table, INITIAL)
    assert log_evidence == pytest.approx(np.log(total), abs=1e-9)
    np.testing.assert_allclose(chain_marginals, marginals / total, atol=1e-9)


def test_single_chain_takes_any_batch():
    log_odds = np.random.default_rng(1).normal(size=(2, 3, 5))
    log_evidence, marginals = single_chain(log_odds, TABLE, INITIAL)
    assert log_evidence.shape == (2, 3)
    assert marginals.shape == (2, 3, 5, 3)
    alone, alone_marginals = single_chain(log_odds[1, 2], TABLE, INITIAL)
    assert alone == pytest.approx(log_evidence[1, 2], abs=1e-12)
    np.testing.assert_allclose(alone_marginals, marginals[1, 2], atol=1e-12)


def test_single_chain_stands_huge_odds():
    log_odds = np.array([1e5, -1e5, 1e5, -1e5])
    log_evidence, marginals = single_chain(log_odds, TABLE, INITIAL)
    assert log_evidence == pytest.approx(2e5, rel=1e-4)
    np.testing.assert_allclose(marginals[[0, 2], 0], 1)
    np.testing.assert_allclose(marginals.sum(-1), 1)


def test_what_frames_do_not_say_is_the_prior():
    log_evidence, marginals = single_chain(np.zeros(6), TABLE, INITIAL)
    assert log_evidence == pytest.approx(0, abs=1e-12)
    law = INITIAL
    for t in range(6):
        np.testing.assert_allclose(marginals[t], law, atol=1e-12)
        law = law @ TABLE


# Evidence and its gradient.


@pytest.mark.parametrize(("count", "frames"), [(1, 4), (2, 3), (3, 3)])
def test_log_evidence_equals_enumeration(count, frames):
    positions = CLOSE[:count]
    movie, spots = toy_movie(positions, frames)
    expected, _ = brute_force(movie, spots, 0.5, SIGMA, TABLE, INITIAL)
    gradient = log_evidence_gradient(movie, positions, 6.0, 1.1, 0.5, SIGMA, TABLE, INITIAL)
    assert gradient.log_evidence == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_gradient_equals_differences_of_the_evidence(count):
    positions = CLOSE[:count]
    movie, _ = toy_movie(positions)
    start = np.concatenate([positions.ravel() + 0.1, 5.5 + np.arange(count), [1.2, 0.4]])

    def unpacked(values):
        split = 2 * count
        return values[:split].reshape(count, 2), values[split : 3 * count], values[-2], values[-1]

    def evidence(values):
        return log_evidence_gradient(movie, *unpacked(values), SIGMA, TABLE, INITIAL).log_evidence

    gradient = log_evidence_gradient(movie, *unpacked(start), SIGMA, TABLE, INITIAL)
    slopes = [gradient.positions.ravel(), gradient.amplitude, [gradient.width, gradient.background]]
    step = 1e-5
    central = [
        (evidence(start + step * axis) - evidence(start - step * axis)) / (2 * step)
        for axis in np.eye(len(start))
    ]
    np.testing.assert_allclose(np.concatenate(slopes), central, rtol=1e-5, atol=1e-5)


def test_gradient_has_the_shapes_of_its_parameters():
    movie, _ = toy_movie(CLOSE)
    per_spot = log_evidence_gradient(
        movie, CLOSE, np.full(3, 6.0), np.full(3, 1.1), np.full(SHAPE, 0.5), SIGMA, TABLE, INITIAL
    )
    single = log_evidence_gradient(movie, CLOSE, 6.0, 1.1, 0.5, SIGMA, TABLE, INITIAL)
    for name in ("amplitude", "width", "background"):
        assert getattr(single, name).shape == ()
        assert getattr(single, name) == pytest.approx(getattr(per_spot, name).sum(), rel=1e-9)
    assert per_spot.background.shape == SHAPE


def test_gradient_from_draws_converges_to_the_exact_one():
    movie, _ = toy_movie(CLOSE[:2], frames=4)
    exact = log_evidence_gradient(movie, CLOSE[:2], 6.0, 1.1, 0.5, SIGMA, TABLE, INITIAL)
    sampler = StateSampler(movie, CLOSE[:2], 6.0, 1.1, 0.5, SIGMA, TABLE, INITIAL)
    generator = np.random.default_rng(3)
    draws = np.stack([sampler.sweep(generator) for _ in range(800)])
    single = np.stack(
        [
            log_evidence_gradient(
                movie, CLOSE[:2], 6.0, 1.1, 0.5, SIGMA, TABLE, INITIAL, states=draw
            ).positions
            for draw in draws[:200]
        ]
    )
    sampled = log_evidence_gradient(
        movie, CLOSE[:2], 6.0, 1.1, 0.5, SIGMA, TABLE, INITIAL, states=draws
    )
    assert sampled.log_evidence is None
    error = single.std(0) / np.sqrt(len(draws))
    assert np.all(np.abs(sampled.positions - exact.positions) < 4 * error)


# Sampler.


@pytest.mark.parametrize(
    "positions",
    [CLOSE[:1], CLOSE[:2], CLOSE, np.array([[2.0, 2.0], [2.0, 2.05]]), CLOSE[[0, 1, 0]]],
    ids=["one", "two", "three", "two on one point", "two of three on one point"],
)
def test_sampler_has_the_marginals_of_enumeration(positions):
    movie, spots = toy_movie(positions, seed=1)
    _, expected = brute_force(movie, spots, 0.5, SIGMA, TABLE, INITIAL)
    sampler = StateSampler(movie, positions, 6.0, 1.1, 0.5, SIGMA, TABLE, INITIAL)
    generator = np.random.default_rng(2)
    draws = np.stack([sampler.sweep(generator) for _ in range(700)])
    shares = np.stack([(draws == state).mean(0) for state in range(3)], axis=-1)
    error = np.sqrt(expected * (1 - expected) / len(draws)) + 1e-4
    assert np.max(np.abs(shares - expected) / error) < 4


def test_sampler_of_fluorophores_that_never_switch():
    movie, spots = toy_movie(CLOSE, frames=3, seed=4, amplitude=2.0)
    _, expected = brute_force(movie, spots, 0.5, SIGMA, np.eye(3), INITIAL)
    sampler = StateSampler(movie, CLOSE, 2.0, 1.1, 0.5, SIGMA, np.eye(3), INITIAL)
    generator = np.random.default_rng(2)
    draws = np.stack([sampler.sweep(generator) for _ in range(700)])
    error = np.sqrt(expected[..., 0] * (1 - expected[..., 0]) / len(draws)) + 1e-4
    assert np.max(np.abs((draws == 0).mean(0) - expected[..., 0]) / error) < 4


def test_marginals_of_five_overlapping_fluorophores():
    # More than a block holds: blocks of three must mix, where one chain at a time would not.
    positions = np.array([[2.0, 2.0], [2.1, 2.4], [2.6, 2.2], [2.5, 2.9], [3.2, 2.5]])
    movie, _ = toy_movie(positions, frames=3, seed=5, amplitude=9.0)
    sampler = StateSampler(movie, positions, 9.0, 1.1, 0.5, SIGMA, TABLE, INITIAL)
    generator = np.random.default_rng(0)
    batches = np.stack(
        [np.mean([sampler.sweep(generator) == 0 for _ in range(30)], axis=0) for _ in range(25)]
    )
    exact = exact_marginals(movie, positions, 9.0)
    error = batches.std(0, ddof=1) / np.sqrt(len(batches)) + 1e-3
    assert np.max(np.abs(batches.mean(0) - exact) / error) < 4.5


def exact_marginals(movie, positions, amplitude):
    """Probability of emission (N, T) by enumeration of the joint states of each frame."""
    images = spot_images(positions, amplitude, 1.1, SHAPE)
    weights = np.full(SHAPE, SIGMA**-2)
    return enumerated(movie - 0.5, images, weights, Switching(TABLE, INITIAL))[1]


def test_residual_is_the_movie_less_its_light():
    movie, spots = toy_movie(CLOSE, frames=5)
    sampler = StateSampler(movie, CLOSE, 6.0, 1.1, 0.5, SIGMA, TABLE, INITIAL)
    generator = np.random.default_rng(0)
    for _ in range(3):
        states = sampler.sweep(generator)
    light = np.einsum("nt,nhw->thw", states == 0, spots)
    np.testing.assert_allclose(sampler.residual, movie - 0.5 - light, atol=1e-4)


def test_sampler_starts_from_given_states():
    movie, spots = toy_movie(CLOSE, frames=5)
    states = np.zeros((3, 5), dtype=np.int8)
    sampler = StateSampler(movie, CLOSE, 6.0, 1.1, 0.5, SIGMA, TABLE, INITIAL, states=states)
    np.testing.assert_allclose(sampler.residual, movie - 0.5 - spots.sum(0), atol=1e-4)


@pytest.mark.parametrize("make", [np.random.default_rng, torch.Generator().manual_seed])
def test_same_seed_same_bytes(make):
    movie, _ = toy_movie(CLOSE, frames=20)
    runs = []
    for _ in range(2):
        generator = make(7)
        sampler = StateSampler(movie, CLOSE, 6.0, 1.1, 0.5, SIGMA, TABLE, INITIAL)
        runs.append(b"".join(sampler.sweep(generator).tobytes() for _ in range(4)))
    assert runs[0] == runs[1]


def test_noise_may_differ_between_pixels():
    movie, spots = toy_movie(CLOSE[:2])
    sigma = np.linspace(0.5, 2.0, SHAPE[0] * SHAPE[1]).reshape(SHAPE)
    expected, _ = brute_force(movie, spots, 0.5, sigma, TABLE, INITIAL)
    gradient = log_evidence_gradient(movie, CLOSE[:2], 6.0, 1.1, 0.5, sigma, TABLE, INITIAL)
    assert gradient.log_evidence == pytest.approx(expected, abs=1e-9)


def test_fluorophores_outside_the_field_change_nothing():
    movie, _ = toy_movie(CLOSE[:1], frames=20)
    positions = np.array([CLOSE[0], [-30.0, 2.0], [3.0, 40.0]])
    sampler = StateSampler(movie, positions, 6.0, 1.1, 0.5, SIGMA, TABLE, INITIAL)
    generator = np.random.default_rng(0)
    draws = np.stack([sampler.sweep(generator) for _ in range(200)])
    law, expected = INITIAL, []
    for _ in range(20):
        expected.append(law[0])
        law = law @ TABLE
    np.testing.assert_allclose((draws[:, 1:] == 0).mean((0, 1)), expected, atol=0.12)


# Errors.


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"movie": np.zeros((4, 4))}, "movie"),
        ({"positions": np.zeros(4)}, "positions"),
        ({"positions": [[np.nan, 1.0]]}, "positions"),
        ({"width": 0.0}, "width"),
        ({"amplitude": [1.0, 2.0, 3.0]}, "amplitude"),
        ({"sigma": -1.0}, "sigma"),
        ({"sigma": np.ones((2, 2))}, "sigma"),
        ({"transition": np.ones((3, 3))}, "transition"),
        ({"initial": [0.5, 0.5]}, "initial"),
        ({"movie": np.full((4, 6, 7), np.nan)}, "movie"),
        ({"background": np.nan}, "background"),
        ({"background": np.zeros(5)}, "background"),
        ({"background": np.zeros((9, 4, 6, 7))}, "background"),
        ({"movie": np.zeros((1, 6, 7)), "background": np.zeros((4, 6, 7))}, "background"),
        ({"amplitude": np.nan}, "amplitude"),
        ({"width": np.inf}, "width"),
        ({"sigma": np.inf}, "sigma"),
        ({"sigma": np.ones(0)}, "sigma"),
        ({"states": np.ones((2, 5), dtype=int)}, "states"),
        ({"states": np.ones((5, 4), dtype=int)}, "states"),
        ({"states": np.ones(4, dtype=int)}, "states"),
        ({"states": np.full((2, 4), 3)}, "states"),
        ({"states": np.full((2, 4), 0.5)}, "states"),
    ],
)
def test_wrong_input_is_named(change, name):
    right = {
        "movie": np.zeros((4, 6, 7)),
        "positions": CLOSE[:2],
        "amplitude": 1.0,
        "width": 1.0,
        "background": 0.0,
        "sigma": 1.0,
        "transition": TABLE,
        "initial": INITIAL,
    }
    for function in (StateSampler, log_evidence_gradient):
        with pytest.raises(InputError, match=name):
            function(**{**right, **change})


def test_too_many_fluorophores_to_enumerate():
    movie, _ = toy_movie(CLOSE)
    with pytest.raises(InputError, match="StateSampler"):
        log_evidence_gradient(movie, np.zeros((9, 2)), 1.0, 1.0, 0.0, 1.0, TABLE, INITIAL)


@pytest.mark.parametrize("odds", [np.nan, np.inf])
def test_odds_are_numbers(odds):
    with pytest.raises(InputError, match="log_odds"):
        single_chain([0.5, odds], TABLE, INITIAL)


def test_odds_may_forbid_emission_but_not_everything():
    log_evidence, marginals = single_chain([-np.inf, 0.3], TABLE, INITIAL)
    assert np.isfinite(log_evidence)
    assert marginals[0, 0] == 0
    with pytest.raises(InputError, match="possible sequence"):
        single_chain([-np.inf, 0.3], TABLE, [1, 0, 0])


def test_no_draws_have_no_moments():
    movie, _ = toy_movie(CLOSE)
    with pytest.raises(InputError, match="states"):
        log_evidence_gradient(
            movie, CLOSE, 6.0, 1.1, 0.5, SIGMA, TABLE, INITIAL, states=np.ones((0, 3, 3))
        )


@pytest.mark.parametrize("shape", [(6,), (6, 7, 8), (6.0, 7.5), (0, 7)])
def test_a_field_has_height_and_width(shape):
    with pytest.raises(InputError, match="shape"):
        spot_images(CLOSE, 1.0, 1.0, shape)


def test_one_fluorophore_or_none_is_enough():
    movie, _ = toy_movie(CLOSE)
    sampler = StateSampler(movie, np.zeros((0, 2)), 1.0, 1.0, 0.5, SIGMA, TABLE, INITIAL)
    assert sampler.sweep(np.random.default_rng(0)).shape == (0, 3)
