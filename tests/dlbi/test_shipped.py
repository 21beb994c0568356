"""What ships: the posterior for blinking movies, and the movie of the demo."""

from pathlib import Path

import pytest

from bayesdl_sim.data.formats.tiff import read_image
from bayesdl_sim.dlbi.movies.reading import open_movie
from bayesdl_sim.dlbi.network.posterior import SHIPPED, load_posterior
from bayesdl_sim.dlbi.scoring.baselines import deconvolved_mean, mean_image
from bayesdl_sim.dlbi.scoring.scores import calibration_error, truth_scores
from bayesdl_sim.dlbi.stages.pipeline import run_stages
from bayesdl_sim.dlbi.stages.records import Settings
from bayesdl_sim.utils.files import read_json

ROOT = Path(__file__).resolve().parents[2]
MOVIE = ROOT / "data" / "blinking"
MEGABYTE = 2**20


@pytest.fixture(scope="module")
def result():
    return run_stages(open_movie(MOVIE / "movie.tif"), Settings(stage="network"))


@pytest.fixture(scope="module")
def truth():
    return read_image(MOVIE / "fluorophores.tif")


def test_the_posterior_is_small_and_calibrated():
    size = sum(path.stat().st_size for path in SHIPPED.iterdir())
    assert size < 15 * MEGABYTE
    posterior = load_posterior()
    assert len(posterior.members) == 4
    assert posterior.calibration is not None
    stored = read_json(SHIPPED / "calibration.json")
    assert stored["members"] == list(posterior.names)
    assert stored["hashes"] == list(posterior.hashes)


def test_fewer_members_than_the_map_was_fitted_for_are_not_calibrated(result):
    prepared, stages = run_stages(
        open_movie(MOVIE / "movie.tif"), Settings(stage="network", limit=2)
    )
    assert stages[-1].facts["calibrated"] is False
    (note,) = prepared.warnings
    assert note.endswith("was fitted for 4 members together, 2 predict")
    assert result[1][-1].facts["calibrated"] is True


def test_the_card_stands_beside_it():
    card = (SHIPPED.parent / "README.md").read_text(encoding="utf-8")
    for word in ("training data", "Limits", "train_pretrained.sh"):
        assert word in card


def test_the_demo_is_better_than_the_plain_methods(result, truth):
    prepared, stages = result
    width = read_json(MOVIE / "parameters.json")["microscopy"]["fwhm_px"]
    ours = truth_scores(stages[-1].structure, truth, 20.0)
    mean = truth_scores(mean_image(prepared.moments), truth, 20.0)
    plain = truth_scores(deconvolved_mean(prepared.moments, width, 300), truth, 20.0)
    assert ours.ncc > plain.ncc > mean.ncc + 0.1
    assert ours.psnr > plain.psnr


def test_no_stage_loses_what_the_one_before_had(result, truth):
    first, second = (truth_scores(stage.structure, truth, 20.0) for stage in result[1])
    assert second.ncc > first.ncc - 0.002


def test_its_probability_is_calibrated(result, truth):
    probability = result[1][-1].probability
    assert calibration_error(probability, truth > 0)[0] < 0.03
    assert calibration_error(probability, truth > 0, above=0.1)[0] < 0.1
    assert 0.7 < probability.sum() / (truth > 0).sum() < 1.4


def test_the_map_was_checked_on_scenes_that_it_was_not_fitted_on():
    checked = read_json(SHIPPED / "calibration.json")["fitted_on"]["checked"]
    for score in ("rms_log_sum", "nats_per_occupied_pixel"):
        assert checked[score]["map"] < checked[score]["members"]


def test_its_number_of_fluorophores_is_right_within_a_factor_of_two(result, truth):
    assert 0.5 < result[1][-1].structure.sum() / truth.sum() < 2


def test_what_the_movie_says_of_its_microscope(result):
    parameters = read_json(MOVIE / "parameters.json")["microscopy"]
    calibration = result[0].calibration
    assert calibration.fwhm_px == pytest.approx(parameters["fwhm_px"], rel=0.04)
    assert calibration.gain == pytest.approx(parameters["camera"]["gain"], rel=0.2)
