"""The Bayesian stage end to end, on tiny movies."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from bayesdl_sim.dlbi.refine import refine
from bayesdl_sim.utils.errors import InputError
from tests.dlbi.toys import BACKGROUND, SPARSE, WIDTH, sparse_ring, toy

SIGMA = float(np.sqrt(WIDTH**2 - 1 / 12))  # that a pixel blurs to `WIDTH`


def truth_of(movie):
    """Number of emitters in each fine pixel of a 20 x 20 field."""
    truth = np.zeros((160, 160))
    index = np.floor((movie.positions + 0.5) * 8).astype(int)
    np.add.at(truth, tuple(index.T), 1)
    return truth


def agreement(structure, truth):
    images = [gaussian_filter(x, 1.7).ravel() for x in (structure, truth)]
    return np.corrcoef(*images)[0, 1]


def refined(movie, structure, seed=0, **options):
    generator = np.random.default_rng(seed)
    return refine(movie, structure, SIGMA, BACKGROUND, generator=generator, **options)


@pytest.fixture(scope="module")
def sparse_toy():
    return sparse_ring()


@pytest.fixture(scope="module")
def blurred(sparse_toy):
    """A structure that is right and too smooth, of 12 fine pixels (1.5 camera pixels)."""
    return gaussian_filter(truth_of(sparse_toy), 8)


@pytest.fixture(scope="module")
def result(sparse_toy, blurred):
    return refined(sparse_toy.movie, blurred, budget=0.3)


def test_a_sparse_movie_sharpens_the_structure(sparse_toy, blurred, result):
    truth = truth_of(sparse_toy)
    assert result.weight > 0.3
    assert agreement(result.density, truth) > agreement(blurred, truth) + 0.2


def test_number_of_fluorophores_is_kept_and_sampled(blurred, result):
    assert result.density.sum() == pytest.approx(blurred.sum(), rel=1e-3)
    assert 15 < len(result.positions) < 45
    assert result.blinking.fluorophores > 10


def test_maps_are_maps(result):
    for image in (result.density, result.probability, result.credible_width):
        assert image.shape == (160, 160)
        assert image.dtype == np.float32
        assert np.all(image >= 0)
    assert result.probability.max() <= 1


def test_draws_follow_the_maps(result):
    draws = result.draws(400, np.random.default_rng(0))
    assert draws.shape == (400, 160, 160)
    assert draws.sum((1, 2)).mean() == pytest.approx(result.density.sum(), rel=0.05)
    occupied = (draws > 0).sum((1, 2)).mean()
    assert occupied == pytest.approx(result.probability.sum(), rel=0.05)
    variance = (result.credible_width / 3.2897) ** 2
    bright = np.argsort(result.density.ravel())[-100:]
    drawn = draws.reshape(400, -1)[:, bright]
    assert drawn.mean() == pytest.approx(result.density.ravel()[bright].mean(), rel=0.05)
    assert drawn.var(0).mean() == pytest.approx(variance.ravel()[bright].mean(), rel=0.1)


def test_width_has_one_meaning_at_every_weight(blurred):
    # Too few frames to hold any out: the structure stays, and so does the width of its numbers.
    still = np.random.default_rng(0).poisson(4.0, size=(4, 20, 20)).astype(float)
    still[:, 9, 9] += 100
    result = refined(still, blurred)
    assert result.weight == 0
    np.testing.assert_allclose(result.credible_width, 3.2897 * np.sqrt(blurred), rtol=1e-4)
    drawn = result.draws(300, np.random.default_rng(0))
    assert drawn.var(0).mean() == pytest.approx(blurred.mean(), rel=0.1)


def test_same_seed_same_bytes(sparse_toy, blurred):
    runs = [refined(sparse_toy.movie, blurred, budget=0.06) for _ in range(2)]
    assert runs[0].density.tobytes() == runs[1].density.tobytes()
    assert runs[0].credible_width.tobytes() == runs[1].credible_width.tobytes()
    other = refined(sparse_toy.movie, blurred, seed=1, budget=0.06)
    assert other.density.tobytes() != runs[0].density.tobytes()


def test_structure_comes_back_where_nothing_stands_alone():
    often = np.array([[0.3, 0.7, 0.0], [0.5, 0.5, 0.0], [0.0, 0.0, 1.0]])
    positions = 2 + np.random.default_rng(0).random((300, 2)) * 16
    dense = toy(positions, frames=60, table=often)
    structure = gaussian_filter(truth_of(dense), 3)
    result = refined(dense.movie, structure)
    assert result.weight == 0
    np.testing.assert_allclose(
        result.density / result.density.sum(), structure / structure.sum(), rtol=1e-4
    )


def test_known_switching_and_progress(sparse_toy, blurred):
    steps = []
    result = refined(
        sparse_toy.movie,
        blurred,
        transition=SPARSE,
        initial=[0.1, 0.9, 0],
        brightness=500.0,
        progress=lambda done, total: steps.append((done, total)),
        budget=0.1,
    )
    np.testing.assert_array_equal(result.blinking.switching.transition, SPARSE)
    np.testing.assert_array_equal(result.switching.transition, SPARSE)
    np.testing.assert_array_equal(result.switching.initial, [0.1, 0.9, 0])
    assert result.blinking.brightness.mean == 500.0
    assert steps[-1][0] == steps[-1][1]
    assert [done for done, _ in steps] == sorted(done for done, _ in steps)


def test_emitters_that_never_switch_are_refined(sparse_toy, blurred):
    frozen = {"transition": np.eye(3), "initial": [0.04, 0.96, 0], "brightness": 500.0}
    result = refined(sparse_toy.movie, blurred, budget=0.06, **frozen)
    assert result.sweeps > 0
    np.testing.assert_array_equal(result.switching.transition, np.eye(3))
    assert np.all(np.isfinite(result.density))


def test_a_fluorophore_that_never_emits_is_refused(sparse_toy, blurred):
    with pytest.raises(InputError, match="emits"):
        refined(sparse_toy.movie, blurred, transition=np.eye(3), initial=[0, 1, 0])


def test_field_need_not_be_square(sparse_toy, blurred):
    result = refined(sparse_toy.movie[:, :, 3:], blurred[:, 24:], budget=0.06)
    assert result.density.shape == (160, 136)


def test_global_random_state_is_left_alone(sparse_toy, blurred):
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    refined(sparse_toy.movie, blurred, budget=0.06)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


@pytest.mark.parametrize(
    ("movie", "density", "name"),
    [
        (np.zeros((4, 4)), np.ones((32, 32)), "movie"),
        (np.ones((5, 4, 4)), np.ones((31, 32)), "density"),
        (np.ones((5, 4, 4)), np.zeros((32, 32)), "density"),
        (np.full((5, 4, 4), np.nan), np.ones((32, 32)), "finite"),
    ],
)
def test_wrong_input_is_named(movie, density, name):
    with pytest.raises(InputError, match=name):
        refined(movie, density)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("probability", np.ones((20, 20))),
        ("probability", np.full((160, 160), 1.5)),
        ("brightness", 0.0),
        ("noise", -1.0),
        ("noise", np.nan),
    ],
)
def test_wrong_options_are_named(sparse_toy, blurred, name, value):
    with pytest.raises(InputError, match=name):
        refined(sparse_toy.movie, blurred, **{name: value})


@pytest.mark.parametrize(("sigma", "background"), [(np.nan, 4.0), (1.0, np.nan), (1.0, [4.0, 4.0])])
def test_wrong_optics_are_named(sparse_toy, blurred, sigma, background):
    generator = np.random.default_rng(0)
    with pytest.raises(InputError, match="sigma_px|background"):
        refine(sparse_toy.movie, blurred, sigma, background, generator=generator)


def test_table_needs_its_first_law(sparse_toy, blurred):
    with pytest.raises(InputError, match="initial"):
        refined(sparse_toy.movie, blurred, transition=SPARSE)
