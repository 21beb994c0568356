"""Dark, bright, repeated and alternating frames are found; blinking and bleaching are not."""

import pytest
import torch

from bayesdl_sim.dlbi.movies.light import odd_light, without_odd_frames
from bayesdl_sim.dlbi.movies.reading import Movie
from bayesdl_sim.dlbi.movies.survey import survey
from bayesdl_sim.dlbi.simulation.scenes import random_scene
from bayesdl_sim.utils.errors import InputError

OFFSET = 100.0


def light(frames=80, seed=0):
    """Expected counts above the offset, of spots that blink."""
    generator = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.arange(24.0), torch.arange(28.0), indexing="ij")
    places = 24 * torch.rand((200, 2), generator=generator)
    spots = [torch.exp(-((y - a) ** 2 + (x - b) ** 2) / 2.5) for a, b in places.tolist()]
    emits = (torch.rand((frames, 200), generator=generator) < 0.3).float()
    return 20 + 100 * torch.einsum("tn,nyx->tyx", emits, torch.stack(spots))


def recorded(expected, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return (torch.poisson(expected, generator=generator) + OFFSET).round()


def kept(counts):
    movie = Movie.of(counts, "m.tif")
    return without_odd_frames(movie, survey(movie))


def test_a_usual_movie_is_returned_itself():
    movie = Movie.of(recorded(light()))
    assert without_odd_frames(movie, survey(movie)) == (movie, [])


@pytest.mark.parametrize("value", [0.0, OFFSET])
@pytest.mark.parametrize("frame", [0, 37, 79])
def test_a_dark_frame(frame, value):
    counts = recorded(light())
    counts[frame] = value
    movie, notes = kept(counts)
    assert notes == [f"frame {frame + 1} is dark: left out"]
    assert movie.left_out == (frame,)
    others = torch.cat([counts[:frame], counts[frame + 1 :]])
    assert torch.equal(torch.cat(list(movie.pieces())), others)


def test_bright_frames_at_the_beginning():
    expected = light()
    expected[:6] *= torch.tensor([8.0, 7, 6, 5, 4, 1])[:, None, None]
    movie, notes = kept(recorded(expected))
    assert notes == ["frames 1 to 5 are bright: left out"]
    assert movie.frames == 75


def test_a_frame_on_the_flank_of_a_flash_belongs_to_it():
    noise = torch.randn((60, 16), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    tiles = 50 * (1 + 0.05 * noise)
    tiles[10:13] *= torch.tensor([6.0, 3.0, 1.8])[:, None]
    tiles[40] *= 1.8  # alone, it is no flash
    dark, bright = odd_light((OFFSET + tiles).numpy(), OFFSET)
    assert (dark.tolist(), bright.tolist()) == ([], [10, 11, 12])


@pytest.mark.parametrize("period", [2, 3, 4])
@pytest.mark.parametrize("share", [0.0, 0.2])
def test_alternating_excitation_is_refused(period, share):
    expected = light()
    expected[::period] *= share
    with pytest.raises(InputError, match=r"m.tif: .* of one illumination as a movie"):
        kept(recorded(expected))


@pytest.mark.parametrize("bright", [1, 2])
def test_the_lit_frames_among_dark_ones_are_no_movie_either(bright):
    expected = light()
    expected[torch.arange(80) % 5 >= bright] *= 0.02
    with pytest.raises(InputError, match="of one illumination"):
        kept(recorded(expected))


def test_frames_that_are_stored_twice_give_the_movie_of_single_ones():
    counts = recorded(light())
    movie, notes = kept(counts.repeat_interleave(2, dim=0))
    assert notes == ["80 frames repeat the one before (the first is frame 2): left out"]
    assert torch.equal(torch.cat(list(movie.pieces())), counts)
    (note,) = kept(torch.cat([counts[:9], counts[8:]]))[1]
    assert note == "1 frame repeats the one before (frame 10): left out"


def test_a_constant_movie_is_left_to_other_checks():
    movie = Movie.of(torch.full((20, 24, 24), 7.0))
    assert without_odd_frames(movie, survey(movie)) == (movie, [])


@pytest.mark.parametrize(
    "course",
    [
        torch.exp(-torch.arange(80) / 20.0),
        1 + 0.2 * torch.randn(80, generator=torch.Generator().manual_seed(3)).clamp(-2, 2),
        torch.where(torch.arange(80) < 30, 1.0, 0.3),
    ],
    ids=["bleaching", "flicker", "step"],
)
def test_bleaching_lamps_and_steps_need_no_word(course):
    assert kept(recorded(light() * course[:, None, None]))[1] == []


@pytest.mark.parametrize("seed", range(6))
def test_few_fluorophores_in_a_small_field_need_no_word(seed):
    generator = torch.Generator().manual_seed(seed)
    scene = random_scene((20, 20), generator, frames=100, per_pixel=(0.02, 0.1))
    assert kept(scene.movie.counts)[1] == []


def test_frames_of_a_very_short_movie_are_not_compared():
    dark, bright = odd_light(survey(Movie.of(recorded(light(8)))).tiles.numpy(), 100.0)
    assert len(dark) == len(bright) == 0
