"""The model of the bands is that of the simulator, and its adjoint is one."""

import math

import pytest
import torch

from bayesdl_sim.physics.illumination import Illumination
from bayesdl_sim.physics.image_formation import expected_frames, grid_for
from bayesdl_sim.physics.microscopes import Microscope
from bayesdl_sim.physics.optics import Optics
from bayesdl_sim.physics.reconstruction.band_model import BandModel
from bayesdl_sim.physics.reconstruction.doubled_grid import MARGIN, full_plane, half_plane
from bayesdl_sim.physics.sensor.camera import Camera

torch.set_num_threads(1)

OPTICS = Optics(na=1.35, emission_nm=520.0, pixel_size_nm=62.6, damping=0.5)
LIGHT = Illumination(
    frequency=(0.3, 0.297, 0.305),
    angle=(0.4, 0.4 + math.pi / 3, 0.4 + 2 * math.pi / 3),
    phase=tuple(tuple(first + 2 * math.pi * p / 3 for p in range(3)) for first in (0.3, 1.0, 2.0)),
    modulation=(0.7, 0.5, 0.9),
    brightness=(0.9, 1.0, 1.1),
)
SIZES = [(40, 52), (41, 37)]


def model(size):
    return BandModel(size, OPTICS, LIGHT, torch.zeros(1, dtype=torch.float64))


def image(shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def everywhere(one):
    return torch.ones(one.small, dtype=torch.float64)


def full_product(first, second):
    """Inner product of two real images by their half planes."""
    return float((full_plane(first).conj() * full_plane(second)).real.sum())


@pytest.mark.parametrize("shape", [(8, 10), (14, 6)])
def test_planes_of_a_real_image(shape):
    spectrum = torch.fft.fft2(image(shape))
    half = torch.fft.rfft2(image(shape))
    torch.testing.assert_close(full_plane(half), spectrum)
    torch.testing.assert_close(half_plane(spectrum), half)
    complex_image = torch.complex(image(shape), image(shape, 1))
    torch.testing.assert_close(half_plane(torch.fft.fft2(complex_image)), half)


@pytest.mark.parametrize("size", SIZES)
def test_data_everywhere_is_the_gain(size):
    one = model(size)
    spectrum = torch.fft.rfft2(image(one.shape))
    seen, expected = one.normal(spectrum, everywhere(one)), one.gain * spectrum
    torch.testing.assert_close(seen, expected, rtol=1e-5, atol=1e-4)  # the OTF is in float32


@pytest.mark.parametrize("size", SIZES)
def test_the_normal_equations_are_symmetric_and_not_negative(size):
    one = model(size)
    inside = one.padded(torch.ones(size, dtype=torch.float64))
    first, second = (torch.fft.rfft2(image(one.shape, seed)) for seed in (1, 2))
    one_way = full_product(first, one.normal(second, inside))
    other_way = full_product(one.normal(first, inside), second)
    assert one_way == pytest.approx(other_way, rel=1e-9)
    assert full_product(first, one.normal(first, inside)) > 0


@pytest.mark.parametrize("size", SIZES)
def test_frames_of_the_simulator_add_up_as_the_model_says(size):
    # A structure that the field holds with all its light: then there are no borders.
    grid = grid_for(size)
    structure = torch.zeros(grid.shape)
    inner = (slice(grid.top + 30, grid.top + 50), slice(grid.left + 28, grid.left + 46))
    structure[inner] = image((20, 18), 3).float()
    light = LIGHT.seen_from(-grid.top / 2, -grid.left / 2)
    microscope = Microscope(OPTICS, light, Camera(), background=0.0)
    frames = expected_frames(structure, microscope, grid)
    one = BandModel(size, OPTICS, LIGHT, torch.zeros(1, dtype=torch.float64))
    measured = one.added([one.padded(band) for band in one.separated(frames.double())])
    field = torch.zeros(one.shape, dtype=torch.float64)
    field[2 * MARGIN + 30 : 2 * MARGIN + 50, 2 * MARGIN + 28 : 2 * MARGIN + 46] = structure[inner]
    inside = one.padded(torch.ones(size, dtype=torch.float64))
    modelled = one.normal(torch.fft.rfft2(field), inside)
    scale = float((measured.conj() * modelled).real.sum() / modelled.abs().square().sum())
    rest = (measured - scale * modelled).abs().square().sum() / measured.abs().square().sum()
    assert float(rest) < 1e-4  # the simulated light is never negative, and exact in float32


@pytest.mark.parametrize("size", SIZES)
def test_margins_continue_the_fringes(size):
    one = model(size)
    flat = torch.ones(size, dtype=torch.float64)
    rows, columns = torch.meshgrid(*(torch.arange(n).double() for n in size), indexing="ij")
    sides = []
    for f, a in zip(LIGHT.frequency, LIGHT.angle, strict=True):
        way = f * (math.sin(a) * rows + math.cos(a) * columns)
        sides.append(torch.polar(flat, 2 * math.pi * way))
    continued = one.mirrored([flat, *sides])
    rim = slice(MARGIN - 3, MARGIN + 3)  # on either side of the border
    for wide, side in ((continued[0], band) for band in continued[1:]):
        torch.testing.assert_close(side.abs(), wide)
        turns = (side[rim, MARGIN + 5] / side[rim, MARGIN + 5].roll(1))[1:].angle()
        assert float(turns.max() - turns.min()) < 1e-6
