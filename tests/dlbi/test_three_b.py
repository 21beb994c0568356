"""The 3B baseline on a tiny movie."""

import numpy as np
import pytest

from bayesdl_sim.dlbi.three_b import normalised_movie, three_b
from bayesdl_sim.utils.errors import InputError
from tests.dlbi.toys import toy

FAST = np.array([[0.3, 0.7, 0.0], [0.3, 0.7, 0.0], [0.0, 0.0, 1.0]])
POSITIONS = np.array([[4.0, 4.0], [9.0, 8.0], [5.0, 10.0]])


@pytest.fixture(scope="module")
def movie():
    return toy(POSITIONS, frames=60, shape=(14, 14), table=FAST).movie


@pytest.fixture(scope="module")
def result(movie):
    return three_b(movie, generator=np.random.default_rng(0), passes=25)


def test_normalised_movie_has_unit_variance(movie):
    normal = normalised_movie(movie)
    assert normal.std() == pytest.approx(1)
    assert abs(normal.mean()) < 0.1


def test_spots_gather_at_the_fluorophores(result):
    rows, columns = np.nonzero(result.density)
    places = np.stack([rows, columns], axis=1) / 8 - 0.4375
    distance = np.linalg.norm(places[:, None] - POSITIONS, axis=2)
    weights = result.density[rows, columns]
    near = weights[distance.min(1) < 1].sum() / weights.sum()
    assert near > 0.5  # 5 % of the field lie so near
    assert all(weights[distance[:, i] < 1].sum() > 0.3 for i in range(3))


def test_result_is_whole(result):
    assert result.density.shape == (112, 112)
    assert len(result.counts) == 25
    assert result.spots.shape == (result.counts[-1], 4)
    assert np.all(result.spots[:, :2] > 0)


def test_same_seed_same_bytes(movie):
    runs = [three_b(movie, generator=np.random.default_rng(3), passes=3) for _ in range(2)]
    assert runs[0].density.tobytes() == runs[1].density.tobytes()
    assert runs[0].spots.tobytes() == runs[1].spots.tobytes()


def test_progress_is_reported(movie):
    steps = []
    three_b(
        movie, generator=np.random.default_rng(0), passes=2, progress=lambda *s: steps.append(s)
    )
    assert steps == [(1, 2), (2, 2)]


def test_wrong_movies_are_named():
    with pytest.raises(InputError, match="frames"):
        three_b(np.zeros((5, 5)), generator=np.random.default_rng(0))
    with pytest.raises(InputError, match="constant"):
        three_b(np.ones((5, 6, 6)), generator=np.random.default_rng(0))
