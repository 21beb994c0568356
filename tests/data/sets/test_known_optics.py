"""The optics that a first guess is given: a function of the stack, in the shares it states."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from bayesdl_sim.data.formats.otf import measured_optics
from bayesdl_sim.data.inputs import FirstGuess, InputSpec
from bayesdl_sim.data.sets.datasets import SimDataset
from bayesdl_sim.data.sets.known_optics import KnownOptics
from bayesdl_sim.data.sets.layout import DatasetSpec
from bayesdl_sim.DatasetGenerate import from_simulation
from bayesdl_sim.physics.optics import TYPICAL_OPTICS, Optics
from bayesdl_sim.utils.errors import InputError

TRUE = {"na": 1.3, "emission_nm": 560.0, "pixel_size_nm": 70.0, "damping": 0.3, "radial_otf": False}
CELLS = {str(cell): {"microscope": {"optics": TRUE}} for cell in range(1, 401)}
SPEC = DatasetSpec("mixed", "random", (32, 32), 2, 400, None, 3, {}, {"cells": CELLS})


@pytest.fixture(scope="module")
def told():
    return [KnownOptics(SPEC)(cell, level) for cell in range(1, 401) for level in (1, 2)]


def share(told, condition):
    return sum(optics is not None and condition(optics) for optics in told) / len(told)


def test_half_of_the_stacks_are_told_nothing(told):
    assert sum(optics is None for optics in told) / len(told) == pytest.approx(0.5, abs=0.05)


def test_the_others_get_truth_nominal_values_or_wrong_ones(told):
    true = Optics.from_dict(TRUE)
    nominal = replace(true, damping=TYPICAL_OPTICS.damping)
    assert share(told, lambda o: o == true) == pytest.approx(0.15, abs=0.04)
    assert share(told, lambda o: o == nominal) == pytest.approx(0.25, abs=0.05)
    wrong = [o for o in told if o is not None and o.na != true.na]
    assert len(wrong) / len(told) == pytest.approx(0.10, abs=0.04)
    errors = np.array([o.cutoff / true.cutoff - 1 for o in wrong])
    assert 0.02 < errors.std() < 0.06


def test_the_same_stack_is_told_the_same(told):
    again = KnownOptics(SPEC)
    assert [again(cell, 2) for cell in range(1, 401)] == told[1::2]


def test_measured_otfs_are_read_back():
    measured = measured_optics()[1]
    facts = {"na": measured.na, "emission_nm": measured.emission_nm, "pixel_size_nm": 62.6}
    facts |= {"damping": 1.0, "radial_otf": True}
    assert Optics.from_dict(facts, measured_optics()) == measured
    with pytest.raises(InputError, match="simulate the set again"):
        Optics.from_dict(facts | {"na": 1.11}, measured_optics())


def test_a_set_of_others_cannot_tell():
    with pytest.raises(InputError, match="tell_optics"):
        KnownOptics(replace(SPEC, details={}))
    with pytest.raises(InputError, match="tell_optics"):
        KnownOptics(replace(SPEC, details={"cells": {"1": {}}}))


def test_a_set_that_lacks_one_microscope_cannot_tell():
    cells = {number: facts for number, facts in CELLS.items() if number != "7"}
    with pytest.raises(InputError, match="the microscope of every cell"):
        KnownOptics(replace(SPEC, details={"cells": cells}))


def test_guesses_are_made_with_what_was_told(tmp_path):
    """Through a data set on disk, with a guess that records the cut-off it was given."""
    options = ["--cells", "4", "--levels", "3", "--size", "32", "--seed", "7", "--workers", "1"]
    from_simulation.main(["--sample", "MT", "--save_path", str(tmp_path / "set"), *options])

    def make(counts: torch.Tensor, optics: Optics | None = None) -> torch.Tensor:
        height, width = counts.shape[-2:]
        value = 0.0 if optics is None else optics.cutoff
        return torch.full((2 * height, 2 * width), value)

    shown = InputSpec(None, True)
    guess = FirstGuess(make, 1)
    informed = SimDataset(
        tmp_path / "set", "train", inputs=shown, first_guess=guess, tell_optics=True
    )
    plain = SimDataset(tmp_path / "set", "train", inputs=shown, first_guess=guess)
    draws = KnownOptics(informed.spec)
    cutoffs = []
    for index in range(len(informed)):
        stack = informed.stack(index)
        optics = draws(stack.cell, stack.level)
        cutoffs.append(0.0 if optics is None else optics.cutoff)
        scaled_guess = stack.raw[9:].mean().item() * stack.norm.scale
        assert scaled_guess == pytest.approx(cutoffs[-1], abs=0.01)
        assert plain.stack(index).raw[9:].abs().max() == 0
    assert 0 < sum(cutoff > 0 for cutoff in cutoffs) < len(cutoffs)
