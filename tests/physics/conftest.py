"""What the tests of this room measure on: fields of filaments under known fringes."""

import math

import pytest
import torch

from bayesdl_sim.physics.illumination import Illumination
from bayesdl_sim.physics.image_formation import expected_frames, grid_for, raw_counts, target_image
from bayesdl_sim.physics.microscopes import Microscope
from bayesdl_sim.physics.optics import Optics
from bayesdl_sim.physics.sensor.camera import Camera
from bayesdl_sim.physics.structures.mixture import draw

STEP = 2 * math.pi / 3
LIGHT = Illumination(
    frequency=(0.24, 0.238, 0.243),
    angle=tuple(0.3 + o * math.pi / 3 for o in range(3)),
    phase=tuple(tuple(0.7 * o + p * STEP for p in range(3)) for o in range(3)),
    modulation=(0.8, 0.8, 0.8),
)
# Not the nominal optics: what is measured has to work without knowing the microscope.
MICROSCOPE = Microscope(Optics(1.3, 600.0, 65.0, 0.6), LIGHT, Camera(gain=1.7, read_noise_e=1.5))


class Stand:
    """A microscope of known optics and fringes, and stacks that it takes."""

    def __init__(self, cutoff=0.32, frequency=0.27, start=0.4, modulation=0.6, damping=0.5):
        pixel_size_nm = 65.0
        self.optics = Optics(cutoff * 600.0 / (2 * pixel_size_nm), 600.0, pixel_size_nm, damping)
        self.light = Illumination(
            frequency=(frequency, 0.99 * frequency, 1.01 * frequency),
            angle=tuple(start + o * math.pi / 3 for o in range(3)),
            phase=tuple(tuple(0.9 * o + p * STEP for p in range(3)) for o in range(3)),
            modulation=(modulation,) * 3,
        )
        self.microscope = Microscope(self.optics, self.light, Camera(gain=2.0, offset=100.0))

    def field_light(self, size=(128, 128)):
        """The fringes with their phases at the first pixel of a field, as reconstructions do."""
        grid = grid_for(size)
        return self.light.seen_from(grid.top / 2, grid.left / 2)

    def expected(self, size, kind="F-actin", seed=0):
        """Noise-free frames (9, H, W) of a drawn structure."""
        grid = grid_for(size)
        structure = draw(kind, grid.shape, 32.5, torch.Generator().manual_seed(seed))
        return expected_frames(structure, self.microscope, grid)

    def stack(self, size=(128, 128), signal_e=100.0, kind="F-actin", seed=0):
        """Counts (9, H, W)."""
        generator = torch.Generator().manual_seed(seed + 1)
        return raw_counts(self.expected(size, kind, seed), signal_e, self.microscope, generator)

    def with_spot(self, times, place, size=(128, 128), signal_e=100.0, seed=0):
        """The stack of `stack` with a point `times` as bright as the brightest structure."""
        grid = grid_for(size)
        point = torch.zeros(grid.shape)
        point[grid.top + 2 * place[0], grid.left + 2 * place[1]] = 1.0
        spot = expected_frames(point, self.microscope, grid)
        plain = self.expected(size, seed=seed)
        spot = times * float(plain.mean(dim=0).max() / spot.mean(dim=0).max()) * spot
        generator = torch.Generator().manual_seed(seed + 1)
        return raw_counts(plain + spot, signal_e, self.microscope, generator)

    def target(self, size=(128, 128), kind="F-actin", seed=0):
        """What a reconstruction of `stack` is asked for, (2H, 2W)."""
        grid = grid_for(size)
        structure = draw(kind, grid.shape, 32.5, torch.Generator().manual_seed(seed))
        return target_image(structure, self.microscope, grid)

    def wave(self, o):
        """True wave vector (ky, kx) of an orientation."""
        k, a = self.light.frequency[o], self.light.angle[o]
        return k * math.sin(a), k * math.cos(a)


@pytest.fixture(scope="session")
def stand():
    """The class, so that a test chooses its own microscope."""
    return Stand


def shuffled(raw, seed=0):
    """Every pixel's nine values in random order: wide field and noise stay, fringes go."""
    order = torch.rand(raw.shape, generator=torch.Generator().manual_seed(seed)).argsort(dim=0)
    return raw.gather(0, order)
