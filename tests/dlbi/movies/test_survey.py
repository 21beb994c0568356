"""The first reading of a movie: blocks, the largest values, pixels that never change."""

import pytest
import torch

from bayesdl_sim.dlbi.movies import reading
from bayesdl_sim.dlbi.movies.reading import Movie
from bayesdl_sim.dlbi.movies.survey import survey


@pytest.fixture
def counts():
    generator = torch.Generator().manual_seed(0)
    return torch.randint(100, 200, (60, 16, 20), generator=generator).float()


@pytest.mark.parametrize("piece", [1, 7, 50, 100])
def test_the_largest_value_and_its_share_whatever_the_pieces(counts, piece, monkeypatch):
    monkeypatch.setattr(reading, "PIECE", piece)
    counts[[3, 30, 59], 2, 2] = 300
    counts[40, 5, 5] = 300
    seen = survey(Movie.of(counts))
    assert seen.brightest == 300
    assert seen.saturated == pytest.approx(4 / counts.numel())
    assert not bool(seen.faulty.either.any())
    assert seen.constant == 0


def test_stuck_pixels_do_not_count(counts):
    counts[:, 3, 4] = 65535
    counts[:, 8, 9] = 0
    seen = survey(Movie.of(counts))
    assert seen.faulty.either.nonzero().tolist() == [[3, 4], [8, 9]]
    assert seen.brightest == 199
    others = counts[:, ~seen.faulty.either]
    assert seen.saturated == pytest.approx(float((others == 199).float().mean()))


def test_a_constant_part_of_the_field_is_not_repaired(counts):
    counts[:, :4] = 0
    seen = survey(Movie.of(counts))
    assert not bool(seen.faulty.either.any())
    assert seen.constant == pytest.approx(0.25)


def test_a_constant_movie_has_no_faulty_pixels():
    seen = survey(Movie.of(torch.full((8, 16, 16), 7.0)))
    assert not bool(seen.faulty.either.any())
    assert (seen.brightest, seen.saturated, seen.constant) == (7.0, 1.0, 1.0)
