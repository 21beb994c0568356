"""Outliers: a set that trains, unlike cells, and none of what the benchmarks keep out."""

import pytest
import torch

from bayesdl_sim.benchmarks.scenes.kept_out import PHASE_MAJOR, SCENARIOS
from bayesdl_sim.data.formats.otf import measured_optics
from bayesdl_sim.data.sets.datasets import SimDataset
from bayesdl_sim.DatasetGenerate import simulation
from bayesdl_sim.DatasetGenerate.outliers import ODDITIES, ORDINARY, oddity_of
from bayesdl_sim.physics.microscopes import CUTOFF_RANGE, random_microscope
from bayesdl_sim.utils.errors import InputError


def test_the_set_is_read_for_training_and_names_every_oddity(outlier_set):
    parts = [SimDataset(outlier_set, part) for part in ("train", "validation", "test")]
    assert sum(len(part) for part in parts) == len(ODDITIES)
    batch = next(parts[0].batches(epoch=0, seed=0, batch_size=2, patch_size=32))
    assert torch.isfinite(batch.raw).all()
    assert torch.isfinite(batch.target).all()
    named = [cell["oddity"] for cell in parts[0].spec.details["cells"].values()]
    assert sorted(named) == sorted(ODDITIES)


def test_an_outlier_that_never_shows_its_target_is_named(monkeypatch):
    monkeypatch.setattr(simulation, "_shows_its_target", lambda cell: False)
    monkeypatch.setattr(simulation, "MOST_ATTEMPTS", 2)
    recipe = simulation.Recipe(sample="outliers", microscope="random", levels=1, size=32, seed=0)
    with pytest.raises(InputError, match=r"none of 2 draws of outlier 1 \(discs\)"):
        simulation.simulate_cell(recipe, 1, measured_optics())


def test_ordinary_cells_are_what_they_were():
    """The oddities leave the sets of other samples alone: nothing is drawn for `ORDINARY`."""
    generator = torch.Generator().manual_seed(0)
    microscope = random_microscope(generator)
    before = generator.get_state()
    frames = torch.rand(9, 4, 4)
    assert ORDINARY.microscope(microscope, generator) is microscope
    assert ORDINARY.density(frames[0], generator) is not None
    assert torch.equal(ORDINARY.frames(frames, generator), frames)
    assert torch.equal(generator.get_state(), before)


@pytest.mark.parametrize("seed", range(30))
def test_altered_microscopes_are_outside_of_training_and_of_what_is_kept_out(seed):
    generator = torch.Generator().manual_seed(seed)
    usual = random_microscope(generator)
    cutoff = ODDITIES["cut-off 0.10-0.14 or 0.42-0.45 cycles/px"].microscope(usual, generator)
    assert not CUTOFF_RANGE[0] <= cutoff.optics.cutoff <= CUTOFF_RANGE[1]
    assert not 0.15 <= cutoff.optics.cutoff <= 0.20
    assert cutoff.optics.cutoff < 0.46
    fine = ODDITIES["fringes 0.42-0.46 cycles/px"].microscope(usual, generator).illumination
    assert fine.mean_frequency > 0.40
    assert min(fine.modulation) > 0  # else it were wide field fed as SIM
    fan = ODDITIES["narrow fan of orientations"].microscope(usual, generator).illumination
    assert len(set(fan.angle)) == 3  # else it were one or two orientations only


@pytest.mark.parametrize("seed", range(50))
def test_shuffled_frames_keep_no_orientation_together(seed):
    frames = torch.arange(9.0)[:, None, None].expand(9, 2, 2)
    order = ODDITIES["shuffled frames"].frames(frames, torch.Generator().manual_seed(seed))
    order = order[:, 0, 0].int().tolist()
    assert sorted(order) == list(range(9))
    assert order != PHASE_MAJOR
    thirds = [set(order[i : i + 3]) for i in (0, 3, 6)]
    assert not any(third in ({0, 1, 2}, {3, 4, 5}, {6, 7, 8}) for third in thirds)


def test_no_oddity_is_a_scenario_that_is_kept_out():
    assert not set(ODDITIES) & set(SCENARIOS)
    assert {oddity_of(number) for number in range(len(ODDITIES))} == set(ODDITIES)
