"""The 3B analysis as a stage."""

import numpy as np
import torch

from bayesdl_sim.dlbi.movies.reading import Movie
from bayesdl_sim.dlbi.stages import baseline
from bayesdl_sim.dlbi.stages.preparing import prepare
from bayesdl_sim.dlbi.stages.records import Settings
from tests.dlbi.toys import toy

FAST = np.array([[0.3, 0.7, 0.0], [0.3, 0.7, 0.0], [0.0, 0.0, 1.0]])


def test_stage_runs_on_a_movie(monkeypatch):
    positions = 3 + 12 * np.random.default_rng(0).random((12, 2))
    counts = toy(positions, frames=50, shape=(18, 20), table=FAST).movie + 100
    movie = Movie.of(torch.from_numpy(counts).float(), "toy")
    monkeypatch.setattr(baseline, "PASSES", 3)
    settings = Settings()
    result = baseline.three_b_result(prepare(movie, settings), settings)
    assert result.name == "3b"
    for image in (result.structure, result.probability, result.uncertainty):
        assert image.shape == (144, 160)
        assert image.dtype == np.float32
    assert len(result.facts["spots"]) == 3
    assert result.facts["frames"] == 50


def test_baseline_is_a_choice_of_the_commands(monkeypatch, tmp_path, movie_folder):
    from bayesdl_sim.dlbi import reconstruct

    monkeypatch.setattr(baseline, "PASSES", 2)
    movie = next(movie_folder.glob("*/movie.tif"))
    words = ["--movie", str(movie), "--save_path", str(tmp_path / "out"), "--stage", "3b"]
    reconstruct.main([*words, "--pixel_size_nm", "100"])
    assert (tmp_path / "out" / "Structure.tif").is_file()
