"""A microscope is what its stored description says, to the digits that are stored."""

import json
from dataclasses import asdict, replace

import pytest
import torch

from bayesdl_sim.data.formats.otf import measured_optics
from bayesdl_sim.physics.microscopes import Microscope, biosr_microscope, random_microscope
from bayesdl_sim.utils.errors import InputError


def flat(value):
    """All numbers of a nested description, in order."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [number for item in value for number in flat(item)]
    return [value]


@pytest.mark.parametrize("seed", range(12))
def test_to_json_and_back(seed):
    measured = measured_optics()
    generator = torch.Generator().manual_seed(seed)
    one = biosr_microscope(generator) if seed == 0 else random_microscope(generator, measured)
    stored = json.loads(json.dumps(one.to_dict()))
    back = Microscope.from_dict(stored, measured)
    assert flat(asdict(back)) == pytest.approx(flat(asdict(one)), abs=1e-6)
    assert back.to_dict() == one.to_dict()
    assert type(back.illumination.phase[0]) is tuple


def test_a_measured_curve_is_named_not_listed():
    measured = measured_optics()[0]
    microscope = biosr_microscope(torch.Generator().manual_seed(0), measured)
    stored = microscope.to_dict()
    assert stored["optics"]["radial_otf"] is True
    assert stored["optics"]["cutoff"] == pytest.approx(measured.cutoff, abs=1e-6)
    assert Microscope.from_dict(stored, [measured]).optics.radial_otf == measured.radial_otf
    with pytest.raises(InputError, match="simulate the set again"):
        Microscope.from_dict(stored, [replace(measured, na=1.0)])
