"""Microscopes wider than those of the test cells: for training, so that no lab's stand is new."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from bayesdl_sim.physics.illumination import ORIENTATIONS, PHASES
from bayesdl_sim.physics.image_formation import Grid, expected_frames, lit_median
from bayesdl_sim.physics.microscopes import Microscope, random_microscope, relit
from bayesdl_sim.physics.optics import Optics
from bayesdl_sim.physics.sensor.camera import Camera, CameraMaps
from bayesdl_sim.utils.sampling import uniform

__all__ = ["WideMicroscope", "uneven_density", "uneven_frames", "wide_microscope"]

ORDINARY_SHARE = 0.4  # of the stands
SHARE = 0.35  # of the others, for each property that is widened
FAINT_MODULATION = (0.05, 0.25)
STRONG_HAZE = (0.6, 2.0)  # share of the in-focus light
HAZE_SIGMA_NM = (300.0, 2000.0)
STRONG_BACKGROUND = (0.3, 1.0)  # share of the mean signal
TIRF_SHARE, TIRF_OVER_CUTOFF, TIRF_FINEST = 0.15, (1.0, 1.15), 0.42
PHASE_ERROR_RAD = (0.05, 0.25)  # sigma, frame by frame
PHASE_DRIFT_RAD = 0.08  # sigma, from one phase step to the next
TILT, HUMP = 0.5, 0.8  # of the logarithm of the brightness, from the middle to the edge
ORIENTATION_TILT = 0.1
GAIN_SPREAD = (0.005, 0.05)  # relative, from pixel to pixel
OFFSET_SPREAD = (0.3, 3.0)  # counts
NOISE_SPREAD = (0.1, 0.5)  # sigma of the logarithm of the read noise
HOT_SHARE, HOT_FACTOR = (0.0005, 0.005), (4.0, 25.0)  # of the pixels; of their read noise


@dataclass(frozen=True, kw_only=True)
class WideMicroscope:
    """A microscope whose light and camera differ over the field.

    Attributes:
        microscope: everything that is the same all over the field.
        light: (rows, columns) of the grid, brightness that all orientations share, mean 1; None
            where it is even. It belongs to what a reconstruction should show.
        orientation_light: (3, H, W), further brightness of each orientation, mean 1, or None.
        maps: per-pixel calibration of the camera, or None.
    """

    microscope: Microscope
    light: Tensor | None = None
    orientation_light: Tensor | None = None
    maps: CameraMaps | None = None


def wide_microscope(
    generator: torch.Generator, measured: Sequence[Optics], grid: Grid
) -> WideMicroscope:
    """Draws a stand of `random_microscope`; six of ten get wider, in a third of their properties.

    Faint fringes, strong haze and background, fringes up to 1.15 times beyond the cut-off, phases
    that err and drift, uneven light, and a camera with a map of gain, offset and read noise, hot
    pixels included.

    Args:
        measured: as in `random_microscope`.
        grid: the grid that the field is simulated on.
    """
    microscope = random_microscope(generator, measured)
    if uniform(generator) < ORDINARY_SHARE:
        return WideMicroscope(microscope=microscope)
    if uniform(generator) < SHARE:
        microscope = _faint(microscope, generator)
    if uniform(generator) < SHARE:
        microscope = replace(
            microscope,
            haze_fraction=uniform(generator, *STRONG_HAZE),
            haze_sigma_nm=uniform(generator, *HAZE_SIGMA_NM),
            background=uniform(generator, *STRONG_BACKGROUND),
        )
    if uniform(generator) < TIRF_SHARE:
        microscope = _tirf(microscope, generator)
    if uniform(generator) < SHARE:
        microscope = _unsteady(microscope, generator)
    light = orientation_light = maps = None
    if uniform(generator) < SHARE:
        light = _smooth_light(grid.shape, TILT, HUMP, generator)
    raw_shape = (grid.field[0] // 2, grid.field[1] // 2)
    if uniform(generator) < SHARE:
        fields = [
            _smooth_light(raw_shape, ORIENTATION_TILT, 0.0, generator) for _ in range(ORIENTATIONS)
        ]
        orientation_light = torch.stack(fields)
    if uniform(generator) < SHARE:
        maps = camera_maps(microscope.camera, raw_shape, generator)
    return WideMicroscope(
        microscope=microscope, light=light, orientation_light=orientation_light, maps=maps
    )


def uneven_density(structure: Tensor, stand: WideMicroscope) -> Tensor:
    """The density as the common part of the light shows it: (rows, columns) of the grid."""
    return structure if stand.light is None else structure * stand.light


def uneven_frames(structure: Tensor, stand: WideMicroscope, grid: Grid) -> Tensor:
    """`expected_frames` of a stand whose orientations light the field differently.

    Args:
        structure: structure from `uneven_density`.
    """
    frames = expected_frames(structure, stand.microscope, grid)
    if stand.orientation_light is None:
        return frames
    # A field this smooth passes the blur of the detection unchanged.
    frames = frames * stand.orientation_light.repeat_interleave(PHASES, dim=0)
    return frames / lit_median(frames.mean(dim=0))


def camera_maps(camera: Camera, shape: tuple[int, int], generator: torch.Generator) -> CameraMaps:
    """A per-pixel calibration around the scalars of a camera, with a few hot pixels.

    Gain and offset are normal, the read noise is log-normal; hot pixels have 4 to 25 times of it.

    Args:
        shape: (H, W) of the sensor.
    """

    def spread(limits: tuple[float, float]) -> Tensor:
        return uniform(generator, *limits) * torch.randn(shape, generator=generator)

    gain = camera.gain * (1 + spread(GAIN_SPREAD)).clamp(min=0.5)
    offset = camera.offset + spread(OFFSET_SPREAD)
    noise = camera.gain * camera.read_noise_e * torch.exp(spread(NOISE_SPREAD))
    hot = torch.rand(shape, generator=generator) < uniform(generator, *HOT_SHARE)
    noise = torch.where(hot, uniform(generator, *HOT_FACTOR) * noise, noise)
    return CameraMaps(gain, offset, noise.square())


def _faint(microscope: Microscope, generator: torch.Generator) -> Microscope:
    mean_modulation = uniform(generator, *FAINT_MODULATION)
    modulation = microscope.illumination.modulation
    factor = mean_modulation * ORIENTATIONS / sum(modulation)
    return relit(microscope, modulation=tuple(min(factor * m, 1.0) for m in modulation))


def _tirf(microscope: Microscope, generator: torch.Generator) -> Microscope:
    """Fringes finer than the detection resolves, and no light from out of focus."""
    light = microscope.illumination
    finest = max(light.frequency) / light.mean_frequency
    frequency = microscope.optics.cutoff * uniform(generator, *TIRF_OVER_CUTOFF)
    factor = min(frequency, TIRF_FINEST / finest) / light.mean_frequency
    microscope = replace(microscope, haze_fraction=0.0)
    return relit(microscope, frequency=tuple(factor * k for k in light.frequency))


def _unsteady(microscope: Microscope, generator: torch.Generator) -> Microscope:
    """Phase steps that err from frame to frame, and a drift along each orientation."""
    sigma = uniform(generator, *PHASE_ERROR_RAD)
    error = sigma * torch.randn(ORIENTATIONS, PHASES, generator=generator)
    slope = PHASE_DRIFT_RAD * torch.randn(ORIENTATIONS, 1, generator=generator)
    moved = torch.tensor(microscope.illumination.phase) + error + slope * torch.arange(PHASES)
    return relit(microscope, phase=tuple(tuple(row) for row in moved.tolist()))


def _smooth_light(
    shape: tuple[int, int], tilt: float, hump: float, generator: torch.Generator
) -> Tensor:
    """Brightness `exp(t u - h r^2)`, mean 1: u along a random axis, r from a random centre."""
    angle = uniform(generator, 0.0, 2 * math.pi)
    rows = torch.linspace(-1, 1, shape[0])[:, None]
    columns = torch.linspace(-1, 1, shape[1])[None]
    slope = uniform(generator, 0.0, tilt)
    logarithm = slope * (math.sin(angle) * rows + math.cos(angle) * columns)
    centre = [uniform(generator, -0.5, 0.5) for _ in range(2)]
    radius_squared = (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2
    light = torch.exp(logarithm - uniform(generator, 0.0, hump) * radius_squared)
    return light / light.mean()
