"""Whole microscopes: the one behind BioSR, and random ones over the measured ranges."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from bayesdl_sim.physics.illumination import Illumination
from bayesdl_sim.physics.optics import Optics
from bayesdl_sim.physics.sensor.camera import Camera
from bayesdl_sim.utils.sampling import uniform

__all__ = ["Microscope", "biosr_microscope", "magnified", "random_microscope", "relit"]

CUTOFF_RANGE = (0.24, 0.40)  # cycles per raw pixel
PATTERN_RANGE = (0.17, 0.40)  # cycles per raw pixel
PATTERN_OVER_CUTOFF = (0.65, 1.15)
MODULATION_RANGE = (0.10, 0.95)
# Standard deviations between the orientations of one stand, as in public raw stacks
ANGLE_SPREAD_RAD, FREQUENCY_SPREAD, BRIGHTNESS_SPREAD = 0.02, 0.015, 0.05
MODULATION_SPREAD, FURTHER_MODULATION_SPREAD = 0.1, 0.05  # the second in random stands alone
PHASE_JITTER_RAD = 0.03
LEAST_MODULATION = 0.05
# Oil and water immersion, blue to red dyes, the pixels of common cameras behind 60x to 150x
NA_RANGE, EMISSION_NM, PIXEL_NM = (1.2, 1.49), (500.0, 680.0), (55.0, 100.0)
LEAST_DAMPING = 0.15
MEASURED_OTF_SHARE = 0.25
# Of sCMOS cameras: counts per electron, counts of a dark pixel, electrons
GAIN, OFFSET, READ_NOISE_E = (0.5, 3.0), (95.0, 115.0), (0.8, 2.5)
HAZY_SHARE, HAZE_FRACTION, HAZE_SIGMA_NM = 0.6, (0.0, 0.8), (300.0, 1200.0)
BACKGROUND = (0.0, 0.3)  # of the mean signal
BIOSR_FIRST_ANGLE_RAD = 1.48
BIOSR_MODULATION = (0.37, 0.52)


@dataclass(frozen=True)
class Microscope:
    """Everything between a structure and its counts.

    Args:
        haze_fraction: out-of-focus light as a share of the in-focus light; not modulated.
        haze_sigma_nm: width (sigma) of the out-of-focus blur.
        background: uniform light as a share of the mean signal.
    """

    optics: Optics
    illumination: Illumination
    camera: Camera
    haze_fraction: float = 0.0
    haze_sigma_nm: float = 500.0
    background: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """All parameters for JSON, to six decimals; of a measured OTF only which one it is."""
        return _rounded(asdict(self) | {"optics": self.optics.to_dict()})

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any], measured: Sequence[Optics] = ()) -> Microscope:
        """The microscope that `to_dict` has described.

        Args:
            measured: optics with the measured OTFs, see `Optics.from_dict`.
        """
        others = {n: v for n, v in stored.items() if n not in ("optics", "illumination", "camera")}
        return cls(
            Optics.from_dict(stored["optics"], measured),
            Illumination.from_dict(stored["illumination"]),
            Camera(**stored["camera"]),
            **others,
        )


def random_microscope(generator: torch.Generator, measured: Sequence[Optics] = ()) -> Microscope:
    """Draws a 2D-SIM stand over the ranges measured on public data.

    Cut-off 0.24-0.40 and pattern frequency 0.17-0.40 cycles per raw pixel (0.65-1.15 of the
    cut-off), any start angle, either sense of rotation, modulation 0.10-0.95. The three
    orientations vary around these: by 1.5 % in frequency and 15 % in modulation.

    Args:
        measured: optics with a measured radial OTF; a quarter of the draws use one of them, with
            the pixel size redrawn.
    """
    optics = _random_optics(generator, measured)
    frequency = 0.0
    while not PATTERN_RANGE[0] <= frequency <= PATTERN_RANGE[1]:
        frequency = optics.cutoff * uniform(generator, *PATTERN_OVER_CUTOFF)
    illumination = _illumination(
        generator,
        frequency=frequency,
        start=uniform(generator, 0.0, math.pi),
        sense=1.0 if uniform(generator) < 0.5 else -1.0,
        modulation=uniform(generator, *MODULATION_RANGE),
        spread=1.0,
    )
    camera = Camera(
        gain=uniform(generator, *GAIN),
        offset=uniform(generator, *OFFSET),
        read_noise_e=uniform(generator, *READ_NOISE_E),
    )
    hazy = uniform(generator) < HAZY_SHARE
    return Microscope(
        optics,
        illumination,
        camera,
        haze_fraction=uniform(generator, *HAZE_FRACTION) if hazy else 0.0,
        haze_sigma_nm=uniform(generator, *HAZE_SIGMA_NM),
        background=uniform(generator, *BACKGROUND),
    )


def biosr_microscope(generator: torch.Generator, optics: Optics | None = None) -> Microscope:
    """The TIRF-SIM behind BioSR at 488 nm: fixed geometry, phases free to drift between cells."""
    optics = optics or Optics(na=1.35, emission_nm=520.0, pixel_size_nm=62.6, damping=0.3)
    illumination = _illumination(
        generator,
        frequency=2 * 1.41 / 488.0 * optics.pixel_size_nm * 0.962,  # 0.348 measured at 62.6 nm
        start=BIOSR_FIRST_ANGLE_RAD,
        sense=1.0,
        modulation=uniform(generator, *BIOSR_MODULATION),
        spread=0.0,
    )
    return Microscope(optics, illumination, Camera(2.2, 100.0, 1.5), background=0.1)


def relit(microscope: Microscope, **changes: tuple) -> Microscope:
    """The same stand with other light: `changes` are attributes of its `Illumination`."""
    return replace(microscope, illumination=replace(microscope.illumination, **changes))


def magnified(microscope: Microscope, cutoff: float, finest: float) -> Microscope:
    """The same stand with another camera pixel: cut-off and fringes scale alike.

    Args:
        cutoff: wanted, cycles per raw pixel.
        finest: fringes stop there, cycles per raw pixel; 0.5 is the limit of sampling.
    """
    factor = cutoff / microscope.optics.cutoff
    frequency = tuple(min(factor * k, finest) for k in microscope.illumination.frequency)
    optics = replace(microscope.optics, pixel_size_nm=factor * microscope.optics.pixel_size_nm)
    return replace(relit(microscope, frequency=frequency), optics=optics)


def _random_optics(generator: torch.Generator, measured: Sequence[Optics]) -> Optics:
    use_measured = measured and uniform(generator) < MEASURED_OTF_SHARE
    base = measured[int(uniform(generator, 0, len(measured)))] if use_measured else None
    while True:
        na, emission = uniform(generator, *NA_RANGE), uniform(generator, *EMISSION_NM)
        pixel = uniform(generator, *PIXEL_NM)
        damping = math.exp(uniform(generator, math.log(LEAST_DAMPING), 0.0))
        optics = Optics(na, emission, pixel, damping)
        if base is not None:
            optics = Optics(
                base.na, base.emission_nm, pixel, 1.0, base.radial_otf, base.radial_step_per_um
            )
        if CUTOFF_RANGE[0] <= optics.cutoff <= CUTOFF_RANGE[1]:
            return optics


def _illumination(
    generator: torch.Generator,
    frequency: float,
    start: float,
    sense: float,
    modulation: float,
    spread: float,
) -> Illumination:
    """Three orientations 60 degrees apart; `spread` scales how much they differ."""
    angles, frequencies, modulations, brightness, phases = [], [], [], [], []
    for o in range(3):
        angles.append(
            start + sense * o * math.pi / 3 + spread * _normal(generator, ANGLE_SPREAD_RAD)
        )
        frequencies.append(frequency * (1 + spread * _normal(generator, FREQUENCY_SPREAD)))
        between = MODULATION_SPREAD + FURTHER_MODULATION_SPREAD * spread
        deviation = 1 + between * _normal(generator)
        modulations.append(min(max(modulation * deviation, LEAST_MODULATION), 1.0))
        brightness.append(1 + BRIGHTNESS_SPREAD * _normal(generator))
        first = uniform(generator, 0.0, 2 * math.pi)
        direction = 1.0 if spread == 0.0 or uniform(generator) < 0.5 else -1.0
        phases.append(
            tuple(
                first + direction * p * 2 * math.pi / 3 + _normal(generator, PHASE_JITTER_RAD)
                for p in range(3)
            )
        )
    return Illumination(
        tuple(frequencies), tuple(angles), tuple(phases), tuple(modulations), tuple(brightness)
    )


def _normal(generator: torch.Generator, sigma: float = 1.0) -> float:
    return sigma * torch.randn((), generator=generator).item()


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(item) for item in value]
    return value
