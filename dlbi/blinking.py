"""The simulator: from a density of fluorophores to the movie of a camera, stage by stage.

density -> sample_fluorophores -> sample_states -> sample_photons -> render -> background -> expose.
Positions are (N, 2), y and x in camera pixels, with pixel centres at integers. The fine grid has
eight rows and columns to each camera pixel.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from bayesdl_sim.dlbi.conventions import EMITTING, FINE
from bayesdl_sim.dlbi.simulation.spots import spots
from bayesdl_sim.dlbi.simulation.switching import FLUOROPHORES, Fluorophore, sample_states
from bayesdl_sim.physics.sensor.camera import Camera, expose

__all__ = [
    "FINE",
    "MARGIN",
    "BlinkingMovie",
    "Microscopy",
    "background_map",
    "binned",
    "count_map",
    "render",
    "sample_fluorophores",
    "sample_photons",
    "simulate_movie",
]

MARGIN = 4  # camera pixels around the field whose fluorophores still contribute light to it
RELIEF_PX = 15  # camera pixels over which an uneven background changes
TILE = 32  # camera pixels; fluorophores of one tile are rendered together
REACH = 1.7  # the image of a fluorophore is computed up to this many FWHM (4 sigma) away
# Widths of single emissions relative to the nominal one, equally likely: the deciles of a normal
# distribution, in standard deviations.
WIDTH_DECILES = (-1.645, -1.036, -0.674, -0.385, -0.126, 0.126, 0.385, 0.674, 1.036, 1.645)


@dataclass(frozen=True, kw_only=True)
class Microscopy:
    """Optics, background and camera: everything between the fluorophores and the counts.

    Args:
        fwhm_px: nominal full width at half maximum of the image of a fluorophore, camera pixels.
        width_jitter: relative standard deviation of the width from emission to emission.
        photons: mean photoelectrons of one emitting frame.
        photon_spread: standard deviation of the logarithm of the photoelectrons.
        background_e: electrons per pixel and frame that do not come from the fluorophores. None:
            `background_fraction` of the mean signal.
        background_fraction: background as a share of the mean of the noise-free movie.
        background_relief: standard deviation of the logarithm of the background over the field,
            which varies smoothly; 0: the same everywhere.
        kernel: shape of the point spread function, see `simulation.spots`.
        camera: gain, offset and read noise.
    """

    fwhm_px: float = 2.4
    width_jitter: float = 0.05
    photons: float = 400.0
    photon_spread: float = 0.3
    background_e: float | None = None
    background_fraction: float = 0.3
    background_relief: float = 0.0
    kernel: str = "gaussian"
    camera: Camera = field(default_factory=Camera)


@dataclass(frozen=True, kw_only=True)
class BlinkingMovie:
    """A simulated movie and its truth.

    Args:
        counts: (T, H, W) float32, whole camera counts.
        fluorophores: (8H, 8W) float32, number of fluorophores in each fine pixel.
        positions: (N, 2) of all fluorophores, those of the margin included.
        states: (N, T) int8, 0 emitting, 1 dark, 2 bleached.
        background_e: electrons per pixel and frame, mean over the field.
    """

    counts: Tensor
    fluorophores: Tensor
    positions: Tensor
    states: Tensor
    background_e: float


def sample_fluorophores(density: Tensor, expected: float, generator: torch.Generator) -> Tensor:
    """Draws fluorophores from a density: Poisson numbers per fine pixel, uniform within it.

    Args:
        density: (8(H + 2M), 8(W + 2M)), any units, M = `MARGIN` around the field.
        expected: expected number of fluorophores on the whole of it.

    Returns:
        (N, 2) positions in camera pixels of the field.
    """
    rate = density / density.sum() * expected
    counts = torch.poisson(rate, generator=generator).long().reshape(-1)
    index = torch.repeat_interleave(torch.arange(counts.numel()), counts)
    inside = torch.rand((len(index), 2), generator=generator)
    row, column = index // density.shape[1], index % density.shape[1]
    place = torch.stack([row, column], dim=1) + inside
    return place / FINE - 0.5 - MARGIN


def sample_photons(states: Tensor, microscopy: Microscopy, generator: torch.Generator) -> Tensor:
    """Photoelectrons of every fluorophore in every frame: log-normal while it emits, else 0.

    The mean of an emitting frame is `photons`, its variance `photons^2 (exp(spread^2) - 1)`.

    Returns:
        (N, T) float32.
    """
    spread = microscopy.photon_spread
    noise = torch.randn(states.shape, generator=generator)
    light = microscopy.photons * torch.exp(spread * noise - spread**2 / 2)
    return light * (states == EMITTING)


def render(
    positions: Tensor,
    photons: Tensor,
    microscopy: Microscopy,
    shape: tuple[int, int],
    generator: torch.Generator,
) -> Tensor:
    """Noise-free movie (T, H, W) in electrons; tile by tile, so that time grows with the area."""
    frames = photons.shape[1]
    movie = torch.zeros((frames, *shape))
    reach = math.ceil(REACH * microscopy.fwhm_px * (1 + 2 * microscopy.width_jitter))
    for top, left, members in _tiles(positions, shape):
        low = (max(top - reach, 0), max(left - reach, 0))
        high = (min(top + TILE + reach, shape[0]), min(left + TILE + reach, shape[1]))
        size = (high[0] - low[0], high[1] - low[1])
        if min(size) <= 0:
            continue
        local = positions[members] - torch.tensor(low)
        part = _render_tile(local, photons[members], microscopy, size, generator)
        movie[:, low[0] : high[0], low[1] : high[1]] += part
    return movie


def _tiles(positions: Tensor, shape: tuple[int, int]) -> Iterator[tuple[int, int, Tensor]]:
    """The corner of each tile and the fluorophores in it; margins belong to the outermost tiles."""
    tile = ((positions + 0.5) / TILE).floor().long()
    for row in range(-1, math.ceil(shape[0] / TILE) + 1):
        for column in range(-1, math.ceil(shape[1] / TILE) + 1):
            members = ((tile[:, 0] == row) & (tile[:, 1] == column)).nonzero().squeeze(1)
            if len(members):
                yield row * TILE, column * TILE, members


def _render_tile(
    positions: Tensor,
    photons: Tensor,
    microscopy: Microscopy,
    size: tuple[int, int],
    generator: torch.Generator,
) -> Tensor:
    deciles = WIDTH_DECILES if microscopy.width_jitter else (0.0,)
    choice = torch.randint(len(deciles), photons.shape, generator=generator)
    part = torch.zeros((photons.shape[1], size[0] * size[1]))
    for number, decile in enumerate(deciles):
        fwhm = microscopy.fwhm_px * (1 + microscopy.width_jitter * decile)
        images = spots(positions, fwhm, size, microscopy.kernel).flatten(1)
        part += torch.where(choice == number, photons, 0.0).T @ images
    return part.view(-1, *size)


def background_map(shape: tuple[int, int], relief: float, generator: torch.Generator) -> Tensor:
    """Smooth background (H, W) of mean 1; without relief, no random number is drawn."""
    if relief == 0:
        return torch.ones(shape)
    coarse = [max(round(pixels / RELIEF_PX), 1) + 3 for pixels in shape]
    noise = torch.randn((1, 1, *coarse), generator=generator)
    size = [RELIEF_PX * cells for cells in coarse]
    smooth = interpolate(noise, size=size, mode="bicubic", align_corners=False)[0, 0]
    smooth = smooth[RELIEF_PX:, RELIEF_PX:][: shape[0], : shape[1]]
    image = torch.exp(relief * (smooth - smooth.mean()) / smooth.std())
    return image / image.mean()


def count_map(positions: Tensor, shape: tuple[int, int]) -> Tensor:
    """Number of fluorophores in each fine pixel of the field: (8H, 8W) float32."""
    index = ((positions + 0.5) * FINE).floor().long()
    rows, columns = FINE * shape[0], FINE * shape[1]
    inside = ((index >= 0) & (index < torch.tensor([rows, columns]))).all(dim=1)
    flat = index[inside, 0] * columns + index[inside, 1]
    return torch.bincount(flat, minlength=rows * columns).view(rows, columns).float()


def binned(counts: Tensor, factor: int) -> Tensor:
    """Sums over blocks of `factor` x `factor` fine pixels: the targets at 4x (2) and 2x (4)."""
    pooled = torch.nn.functional.avg_pool2d(counts[None, None], factor)[0, 0]
    return pooled * factor**2


def simulate_movie(
    density: Tensor,
    expected: float,
    frames: int,
    generator: torch.Generator,
    fluorophore: Fluorophore | None = None,
    microscopy: Microscopy | None = None,
) -> BlinkingMovie:
    """Simulates the movie of a structure.

    Args:
        density: (8(H + 2M), 8(W + 2M)) density of fluorophores in any units, with a margin of
            M = `MARGIN` camera pixels around the field.
        expected: expected number of fluorophores on all of it.
        frames: number of frames T.
        generator: CPU generator of every draw.
        fluorophore: switching; mEos3.2 by default.
        microscopy: optics, background and camera.

    Returns:
        The movie with its truth.

    Source: Li et al., Bioinformatics 34, i284 (2018), section 2.2, for the stages; the switching
    of mEos3.2 is theirs.
    """
    fluorophore = fluorophore or FLUOROPHORES["mEos3.2"]
    microscopy = microscopy or Microscopy()
    shape = tuple(n // FINE - 2 * MARGIN for n in density.shape)
    positions = sample_fluorophores(density, expected, generator)
    states = sample_states(fluorophore, len(positions), frames, generator)
    photons = sample_photons(states, microscopy, generator)
    signal = render(positions, photons, microscopy, shape, generator)
    background = microscopy.background_e
    if background is None:
        background = microscopy.background_fraction * float(signal.mean())
    relief = background_map(shape, microscopy.background_relief, generator)
    counts = expose(signal + background * relief, microscopy.camera, generator)
    return BlinkingMovie(
        counts=counts,
        fluorophores=count_map(positions, shape),
        positions=positions,
        states=states,
        background_e=background,
    )
