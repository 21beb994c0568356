"""The copied line: the command takes it, and it holds the choices of the window."""

import shlex
from pathlib import Path

from bayesdl_sim.commands.testing.options import parse_args
from bayesdl_sim.data.layouts import FrameLayout
from bayesdl_sim.napari.steps.command import as_line, folder_words, movie_words, stack_words


def settings_of(words):
    assert words[:2] == ["bayesdl", "test"]
    return parse_args(words[2:])


def test_plain_stack_is_a_short_line():
    words = stack_words(Path("my cell.tif"), FrameLayout(), Path("out"))
    line = as_line(words)
    assert line == "bayesdl test --test_data 'my cell.tif' --save_path out --misfit"
    assert shlex.split(line) == words
    assert settings_of(words).test_data == Path("my cell.tif")


def test_choices_of_the_window_reach_the_command():
    layout = FrameLayout(channel="red", position=2, plane=3)
    choices = {"misfit": False, "delta": 0.02, "pixel_size_nm": 65.0, "forced": True}
    words = stack_words(Path("a.nd2"), layout, Path("out"), **choices)
    settings = settings_of(words)
    assert settings.layout == layout
    assert (settings.numbers.delta, settings.pixel_size_nm, settings.force) == (0.02, 65.0, True)
    assert "Misfit" not in settings.maps


def test_folder_and_movie():
    settings = settings_of(folder_words(Path("stacks"), Path("stacks-results")))
    assert settings.save_path == Path("stacks-results")
    words = movie_words(Path("movie.tif"), Path("out"))
    assert as_line(words) == "python -m dlbi.reconstruct --movie movie.tif --save_path out"
