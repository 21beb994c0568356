"""Random scenes for training and scoring: structures, fluorophores and microscopes of all kinds."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from bayesdl_sim.dlbi.blinking import FINE, MARGIN, BlinkingMovie, Microscopy, simulate_movie
from bayesdl_sim.dlbi.simulation.switching import Fluorophore
from bayesdl_sim.physics.sensor.camera import Camera
from bayesdl_sim.physics.structures.mixture import draw
from bayesdl_sim.utils.sampling import uniform

__all__ = [
    "DENSE_PER_PIXEL",
    "FWHM_PX",
    "PER_PIXEL",
    "SPARSE_PER_PIXEL",
    "Scene",
    "draw_density",
    "random_fluorophore",
    "random_microscopy",
    "random_scene",
]

SHARES = {
    "MT": 0.7,
    "F-actin": 0.15,
    "ER": 0.05,
    "Mitochondria": 0.04,
    "CCPs": 0.03,
    "beads": 0.03,
}
FINE_NM = (12.5, 20.0)  # fine pixels of cameras with 100 to 160 nm
PER_PIXEL = (0.1, 2.5)  # expected fluorophores per camera pixel of the field
SPARSE_PER_PIXEL = (0.02, 0.1)  # the same where few molecules are labelled
DENSE_PER_PIXEL = (2.5, 25.0)  # the same where every binding site is labelled
FRAMES = (20, 400)
ON_FRACTION = (0.01, 0.6)
FWHM_PX = (2.2, 4.0)
PHOTONS = (60.0, 2000.0)
UNEVEN, RELIEF = 0.4, (0.1, 0.7)  # share of scenes with an uneven background, and its relief
AIRY = 0.15  # share of scenes with spots that are no Gaussians


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A simulated movie and how it was made.

    Args:
        movie: counts and truth.
        structure: kind of structure.
        fluorophore, microscopy: the settings drawn.
        brightness_e: expected electrons per frame of one fluorophore, averaged over the movie.
        fine_nm: side of a fine pixel.
    """

    movie: BlinkingMovie
    structure: str
    fluorophore: Fluorophore
    microscopy: Microscopy
    brightness_e: float
    fine_nm: float


def draw_density(
    kind: str,
    shape: tuple[int, int],
    fine_nm: float,
    generator: torch.Generator,
    density: float | None = None,
) -> Tensor:
    """A procedural cell on the fine grid of a field of (H, W) camera pixels, with its margin."""
    padded = tuple(FINE * (pixels + 2 * MARGIN) for pixels in shape)
    edge = FINE * MARGIN
    while True:
        image = draw(kind, padded, fine_nm, generator, density)
        if image[edge:-edge, edge:-edge].sum() > 0.1 * image.sum():
            return image


def random_fluorophore(generator: torch.Generator) -> Fluorophore:
    """On-fraction 1 to 60 %, short or long dwell times, half of them with bleaching."""
    on = _log_uniform(generator, *ON_FRACTION)
    p2 = uniform(generator, 0.15, 0.9)
    p3 = p2 * on / (1 - on)
    if p3 > 0.9:
        p2, p3 = p2 * 0.9 / p3, 0.9
    bleach = 0.0 if uniform(generator) < 0.5 else _log_uniform(generator, 5e-4, 2e-2)
    return Fluorophore(p1=1 - p2, p3=p3, p5=min(bleach, 1 - p3))


def random_microscopy(generator: torch.Generator) -> Microscopy:
    """FWHM 2.2 to 4 pixels, 60 to 2000 photons, weak to strong background, several cameras.

    Some backgrounds are uneven, some spots Airy patterns (of one width: they are slow to compute).
    Narrow spots are drawn more often than wide ones (the square of a uniform number): details below
    a quarter of a wide spot cannot be learned.
    """
    airy, uneven = uniform(generator) < AIRY, uniform(generator) < UNEVEN
    return Microscopy(
        fwhm_px=FWHM_PX[0] + (FWHM_PX[1] - FWHM_PX[0]) * uniform(generator) ** 2,
        kernel="airy" if airy else "gaussian",
        width_jitter=uniform(generator, 0.0, 0.0 if airy else 0.1),
        background_relief=uniform(generator, *RELIEF) if uneven else 0.0,
        photons=_log_uniform(generator, *PHOTONS),
        photon_spread=uniform(generator, 0.1, 0.6),
        background_fraction=_log_uniform(generator, 0.05, 1.0),
        camera=Camera(
            gain=_log_uniform(generator, 0.3, 5.0),
            offset=100.0,
            read_noise_e=uniform(generator, 0.5, 3.0),
        ),
    )


def random_scene(
    shape: tuple[int, int],
    generator: torch.Generator,
    frames: int | None = None,
    per_pixel: tuple[float, float] = PER_PIXEL,
) -> Scene:
    """Draws a scene: structure, fluorophore, microscope, and the longer of two lengths.

    Args:
        shape: (H, W) camera pixels.
        frames: length of the movie; None draws it.
        per_pixel: least and most expected fluorophores per camera pixel.
    """
    kinds, shares = list(SHARES), torch.tensor(list(SHARES.values()))
    kind = kinds[int(torch.multinomial(shares, 1, generator=generator))]
    fine_nm = uniform(generator, *FINE_NM)
    density = draw_density(kind, shape, fine_nm, generator)
    area = (shape[0] + 2 * MARGIN) * (shape[1] + 2 * MARGIN)
    expected = area * _log_uniform(generator, *per_pixel)
    fluorophore, microscopy = random_fluorophore(generator), random_microscopy(generator)
    if frames is None:
        frames = round(max(_log_uniform(generator, *FRAMES), _log_uniform(generator, *FRAMES)))
    movie = simulate_movie(density, expected, frames, generator, fluorophore, microscopy)
    return Scene(
        movie=movie,
        structure=kind,
        fluorophore=fluorophore,
        microscopy=microscopy,
        brightness_e=microscopy.photons * float(fluorophore.expected_emission(frames).mean()),
        fine_nm=fine_nm,
    )


def _log_uniform(generator: torch.Generator, low: float, high: float) -> float:
    return math.exp(uniform(generator, math.log(low), math.log(high)))
