"""A lens is possible, or the number that makes it impossible is named."""

import subprocess
import sys

import pytest

from bayesdl_sim.physics.lens import require_cutoff, require_lens
from bayesdl_sim.physics.optics import Optics
from bayesdl_sim.utils.errors import InputError


def test_possible_and_unknown_lenses_pass():
    require_lens(None, None)
    require_lens(1.49, 600.0)
    require_lens(0.4, 488.0)
    require_cutoff(1.49, 600.0, 65.0, "cell.tif")


@pytest.mark.parametrize(
    ("lens", "message"),
    [
        ((1.4, None), "give both, or neither"),
        ((None, 525.0), "give both, or neither"),
        ((140.0, 525.0), r"^na: expected 0\.1 to 1\.7, found 140$"),
        ((1.4, 0.525), r"^wavelength_nm: expected 300 to 1000 nm, found 0\.525$"),
        ((float("nan"), 525.0), "^na: expected"),
    ],
)
def test_a_slip_is_named(lens, message):
    with pytest.raises(InputError, match=message):
        require_lens(*lens)


@pytest.mark.parametrize("pixel_size_nm", [6.5, 650.0, float("nan")])
def test_pixels_that_no_such_lens_has_are_refused(pixel_size_nm):
    cutoff = Optics(1.4, 525.0, pixel_size_nm).cutoff
    with pytest.raises(InputError, match=f"^cell.tif: na 1.4, .* a cut-off of {cutoff:.3f} cycles"):
        require_cutoff(1.4, 525.0, pixel_size_nm, "cell.tif")


def test_it_is_read_without_torch():
    code = "import sys, bayesdl_sim.physics.lens; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
