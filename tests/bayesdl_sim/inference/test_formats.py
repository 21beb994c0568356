"""One stack, however it was written, has one super-resolved image, bit for bit."""

import numpy as np
import pytest

from bayesdl_sim.data.layouts import FrameLayout
from bayesdl_sim.data.stacks import read_stack
from bayesdl_sim.inference.posterior import Posterior
from tests.data.test_readings import WAYS, A, plain


@pytest.fixture(scope="module")
def guessing(guess_members):
    """Members that also take a first guess, so that patterns are estimated."""
    return Posterior.load(guess_members, "cpu", precision="fp32")


@pytest.fixture(scope="module")
def reference(guessing, tmp_path_factory):
    path = plain(tmp_path_factory.mktemp("plain") / "raw.tif", A)
    return guessing.reconstruct(read_stack(path), ("SR",))


def test_there_are_at_least_25_ways():
    assert len(WAYS) >= 25


@pytest.mark.parametrize("way", WAYS)
def test_super_resolved_bits(tmp_path, guessing, reference, way):
    write, layout = WAYS[way]
    result = guessing.reconstruct(read_stack(write(tmp_path), FrameLayout(**layout)), ("SR",))
    assert result.sr.tobytes() == reference.sr.tobytes()
    assert result.scale == reference.scale


def test_another_stack_has_another_image(tmp_path, guessing, reference):
    """What the others agree on is not a constant."""
    path = plain(tmp_path / "raw.tif", A[[0, 1, 2, 4, 3, 5, 6, 7, 8]])
    assert not np.array_equal(guessing.reconstruct(read_stack(path), ("SR",)).sr, reference.sr)
