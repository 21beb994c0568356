"""The stages together: each takes over where the one before it ends."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from bayesdl_sim.dlbi.movies.drift import measure_drift, shifted
from bayesdl_sim.dlbi.movies.reading import Movie, open_movie
from bayesdl_sim.dlbi.movies.survey import survey
from bayesdl_sim.dlbi.stages import pipeline
from bayesdl_sim.dlbi.stages.pipeline import confirmed, run_stages, untrained_width
from bayesdl_sim.dlbi.stages.preparing import facts_of, prepare
from bayesdl_sim.dlbi.stages.records import Settings
from bayesdl_sim.utils.errors import InputError


@pytest.fixture(scope="module")
def movie(movie_folder):
    return open_movie(movie_folder / "movie_1" / "movie.tif")


def test_moments_stage_alone(movie):
    prepared, (result,) = run_stages(movie, Settings(stage="moments"))
    assert result.name == "moments"
    assert result.structure.shape == (160, 192)
    assert result.uncertainty.max() > 0
    assert np.all((result.probability >= 0) & (result.probability <= 1))
    assert result.facts["iterations"] >= 20
    assert prepared.calibration.fwhm_px == pytest.approx(2.4, rel=0.1)


def test_network_stage_starts_from_the_moments(movie, untrained):
    _, results = run_stages(movie, Settings(stage="network", members=untrained))
    assert [result.name for result in results] == ["moments", "network"]
    first, second = (result.structure / result.structure.sum() for result in results)
    assert np.corrcoef(first.ravel(), second.ravel())[0, 1] > 0.5
    assert [member["file"] for member in results[1].facts["members"]] == [
        "member_01.pth",
        "member_02.pth",
    ]


def test_a_movie_in_memory_gives_the_same(movie):
    counts = torch.cat(list(movie.pieces()))
    _, (from_file,) = run_stages(movie, Settings(stage="moments"))
    _, (from_memory,) = run_stages(Movie.of(counts), Settings(stage="moments"))
    np.testing.assert_array_equal(from_file.structure, from_memory.structure)


def test_what_is_given_is_used(movie):
    prepared = prepare(movie, Settings(fwhm_px=3.0, gain=2.2, offset=100.0))
    facts = facts_of(prepared)
    assert facts["calibration"]["fwhm_px"] == pytest.approx(3.0)
    assert facts["calibration"]["gain"] == 2.2
    assert facts["calibration"]["estimated"] == ()


def test_frames_for_the_encoder_are_evenly_spread(movie):
    prepared = prepare(movie, Settings())
    counts = torch.cat(list(movie.pieces()))
    assert torch.equal(prepared.frames, counts)  # fewer than the encoder may see


def test_a_movie_without_blinking():
    generator = torch.Generator().manual_seed(0)
    light = 50 + 30 * torch.rand((20, 20), generator=generator)
    counts = torch.poisson(light.expand(60, 20, 20), generator=generator)
    with pytest.raises(InputError, match="still.tif: nothing blinks"):
        run_stages(Movie.of(counts, "still.tif"), Settings(stage="moments"))


def test_progress_counts_the_work_of_each_stage(movie, untrained):
    steps = []
    settings = Settings(stage="network", members=untrained)
    run_stages(movie, settings, lambda *step: steps.append(step))
    last = {what: (done, total) for done, total, what in steps}
    halves = "iterations on half of the frames"  # may end before there are as many as allowed
    assert list(last) == [
        "frames",
        halves,
        "iterations on all frames",
        "members",
        "steps of the likelihood",
    ]
    assert last["frames"] == (movie.frames, movie.frames)
    assert all(done == total for what, (done, total) in last.items() if what != halves)
    assert 0 < last[halves][0] <= last[halves][1]


def test_light_without_a_chance_of_fluorophores_is_taken_back():
    light, before = torch.tensor([3.0, 3.0, 3.0, 0.5]), torch.tensor([1.0, 1.0, 1.0, 1.0])
    probability = torch.tensor([0.0, 0.01, 0.02, 0.0])
    # Fully, half, not at all; and light that the steps removed does not come back.
    torch.testing.assert_close(
        confirmed(light, before, probability), torch.tensor([1.0, 2.0, 3.0, 0.5])
    )


def test_one_stuck_pixel_changes_its_surroundings_alone(movie):
    """It used to spoil the whole field at the stage of the network."""
    counts = torch.cat(list(movie.pieces()))
    stuck = counts.clone()
    stuck[:, 9, 12] = 4095.0
    (usual_at, usual), (found_at, found) = (
        run_stages(Movie.of(frames), Settings(stage="network", limit=1))
        for frames in (counts, stuck)
    )
    assert found_at.calibration.gain == pytest.approx(usual_at.calibration.gain, rel=0.05)
    assert facts_of(found_at)["faulty_pixels"] == [[9, 12]]
    assert any("row 10, column 13" in text for text in found_at.warnings)
    far = np.ones(usual[-1].structure.shape, bool)
    far[8 * 6 : 8 * 13, 8 * 9 : 8 * 16] = False
    for name in ("structure", "probability"):
        first, second = (getattr(stages[-1], name)[far] for stages in (usual, found))
        assert np.corrcoef(first, second)[0, 1] > 0.95
    near = found[-1].structure[8 * 9 : 8 * 10, 8 * 12 : 8 * 13].sum()
    assert near < 0.1 * usual[-1].structure.sum()


def test_a_saturated_movie_is_refused_although_it_drifts(movie):
    """Frames that were moved back hold no value at the limit any more."""
    counts = torch.cat(list(movie.pieces()))
    drift = np.outer(np.linspace(0.75, -0.75, len(counts)), (1.0, 0.0))
    bright = shifted(counts, drift) * (4095 / float(counts.quantile(0.97)))
    clipped = bright.round().clamp(0, 4095)
    assert measure_drift(survey(Movie.of(clipped)).means).corrected
    with pytest.raises(InputError, match="% of the values are saturated"):
        prepare(Movie.of(clipped), Settings())


@pytest.mark.parametrize("weight", [0.0, 0.4])
def test_the_uncertainty_of_the_bayesian_stage_is_one_thing(movie, untrained, monkeypatch, weight):
    """It was another map where the weight of the samples came out as zero."""
    refine, found = pipeline.refine, []

    def refine_with_weight(*args, **options):
        found.append(replace(refine(*args, **options), weight=weight))
        return found[-1]

    monkeypatch.setattr(pipeline, "refine", refine_with_weight)
    _, (_, network, bayes) = run_stages(movie, Settings(members=untrained))
    np.testing.assert_array_equal(bayes.uncertainty, found[0].credible_width)
    assert bayes.uncertainty_is.startswith("width of the central 90 %")
    kept = found[0].density if weight else network.structure
    np.testing.assert_array_equal(bayes.structure, kept)
    assert bayes.draws(2, np.random.default_rng(0)).shape == (2, 160, 192)
    assert network.draws is None


@pytest.mark.parametrize("width", [2.1, 2.2, 3.0, 4.0, 4.2])
def test_widths_of_the_training_pass_without_a_note(width):
    assert untrained_width(width) == ""


@pytest.mark.parametrize("width", [1.8, 7.0])
def test_other_widths_are_noted_where_the_network_is_used(movie, untrained, width):
    settings = Settings(stage="network", members=untrained, fwhm_px=width)
    notes = run_stages(movie, settings)[0].warnings
    assert untrained_width(width) in notes
    assert f"spots {width:.2f} px wide are unlike those" in untrained_width(width)
    moments = run_stages(movie, replace(settings, stage="moments"))[0].warnings
    assert untrained_width(width) not in moments
