"""DLBI in the plugin: maps that lie on the movie; a helpful line where the folder is missing."""

import importlib.util

import pytest

from bayesdl_sim.napari.samples import sample_path
from bayesdl_sim.napari.steps import blinking
from bayesdl_sim.napari.steps.layers import MARK
from bayesdl_sim.napari.steps.stopping import Stopped
from bayesdl_sim.utils.errors import InputError

needs_dlbi = pytest.mark.skipif(
    importlib.util.find_spec("bayesdl_sim.dlbi") is None, reason="the folder dlbi/ is not there"
)


@needs_dlbi
def test_maps_are_eight_times_finer_and_lie_on_the_movie():
    steps = []
    path = sample_path("blinking", "movie.tif")
    layers = blinking.movie_layers(path, lambda *step: steps.append(step), stage="moments")
    kinds = [options["metadata"][MARK]["kind"] for _, options, _ in layers.layers]
    assert kinds == ["mean image", "fluorophore uncertainty", "probability", "structure"]
    (mean, coarse, _), *maps = layers.layers
    for image, options, _ in maps:
        assert image.shape == (8 * mean.shape[0], 8 * mean.shape[1])
        edge = options["translate"][0] - options["scale"][0] / 2
        assert edge == pytest.approx(coarse["translate"][0] - coarse["scale"][0] / 2)
        assert 8 * options["scale"][0] == pytest.approx(coarse["scale"][0])
    begun = list(dict.fromkeys(part for _, _, part in steps))
    assert begun[:2] == ["frames", "iterations on half of the frames"]
    assert steps[-1][:2] == (steps[-1][1], steps[-1][1])
    assert layers.sentences[0].startswith("100 frames, spots ")


def test_without_the_folder_the_error_names_it(monkeypatch):
    monkeypatch.setattr(blinking, "find_spec", lambda name: None)
    assert not blinking.is_installed()
    with pytest.raises(InputError, match="holds no DLBI"):
        blinking.movie_layers(sample_path("blinking", "movie.tif"), lambda *step: None)


@needs_dlbi
def test_the_work_can_be_stopped_within_a_stage():
    def stopped(done: int, total: int, part: str) -> None:
        if part.startswith("iterations") and done == 3:
            raise Stopped

    with pytest.raises(Stopped):
        blinking.movie_layers(sample_path("blinking", "movie.tif"), stopped)
