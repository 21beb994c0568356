"""The imaging model on the fine grid: the image of each fine pixel on the camera."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from bayesdl_sim.dlbi.blinking import FINE, MARGIN
from bayesdl_sim.dlbi.simulation.spots import pixel_weights, spots

__all__ = ["Imaging", "airy_imaging_of", "imaging_of"]

AIRY_REACH = 8  # camera pixels; some 95 % of the light of a spot
# They leave 0.6 % of the spot (rms) and 1 % of its square. A single term is nowhere negative.
AIRY_TERMS, AIRY_SQUARED_TERMS = 3, 1


class Imaging(NamedTuple):
    """Image formation as a sum of separable ones, `image = sum_k rows_k @ fine @ columns_k.T`.

    The fine grid has `MARGIN` camera pixels more on every side than the field: light from beyond
    the border reaches the camera.

    Attributes:
        rows, columns: (K, H, 8(H + 2M)) and (K, W, 8(W + 2M)); of a Gaussian, K is 1.
        squares: rows and columns for the squared image; None in what is a square already.
    """

    rows: Tensor
    columns: Tensor
    squares: tuple[Tensor, Tensor] | None = None

    @property
    def fine_shape(self) -> tuple[int, int]:
        return self.rows.shape[-1], self.columns.shape[-1]

    def forward(self, fine: Tensor) -> Tensor:
        """Light per fine pixel (..., 8(H + 2M), 8(W + 2M)) to light per camera pixel."""
        terms = zip(self.rows, self.columns, strict=True)
        return sum(rows @ fine @ columns.T for rows, columns in terms)

    def adjoint(self, image: Tensor) -> Tensor:
        """Transpose of `forward`: (..., H, W) to the fine grid."""
        terms = zip(self.rows, self.columns, strict=True)
        return sum(rows.T @ image @ columns for rows, columns in terms)

    def squared(self) -> Imaging:
        """The model of a variance, in which every emitter counts with its squared image."""
        return Imaging(*self.squares)

    @staticmethod
    def crop(fine: Tensor) -> Tensor:
        """The field (..., 8H, 8W) out of the grid with its margin."""
        edge = FINE * MARGIN
        return fine[..., edge:-edge, edge:-edge]


def imaging_of(shape: tuple[int, int], sigma: float) -> Imaging:
    """The model for a field of (H, W) camera pixels and a Gaussian of `sigma` camera pixels."""
    rows, columns = (
        pixel_weights(_positions(pixels), sigma, pixels).T.float().contiguous()[None]
        for pixels in shape
    )
    return Imaging(rows, columns, (rows.square(), columns.square()))


def airy_imaging_of(shape: tuple[int, int], fwhm: float) -> Imaging:
    """The model for a field of (H, W) camera pixels and Airy spots of a full width at half maximum.

    An Airy spot is not separable, but nearly a sum of few separable terms: the eigenvectors of the
    spot, as a symmetric matrix over its vertical and horizontal offsets.
    """
    phases = _positions(1)[FINE * MARGIN : -FINE * MARGIN]  # of the fine pixels in a camera pixel
    places = torch.cartesian_prod(phases, phases) + AIRY_REACH
    side = 2 * AIRY_REACH + 1
    images = spots(places, fwhm, (side, side), "airy").reshape(FINE, FINE, side, side)
    # Offsets of camera pixels from fine ones, ascending: (side, FINE) in each direction.
    spot = images.flip((0, 1)).permute(2, 0, 3, 1).reshape(side * FINE, side * FINE)
    terms = [_separable(spot, AIRY_TERMS, shape), _separable(spot**2, AIRY_SQUARED_TERMS, shape)]
    return Imaging(*terms[0], terms[1])


def _separable(spot: Tensor, count: int, shape: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Rows and columns whose sum of products is nearest to a symmetric spot over its offsets."""
    values, vectors = torch.linalg.eigh(spot)
    largest = values.abs().argsort(descending=True)[:count]
    values, vectors = values[largest], vectors[:, largest].T * values[largest].abs().sqrt()[:, None]
    rows, columns = (_at_offsets(vectors, pixels) for pixels in shape)
    return (rows * values.sign()[:, None, None]).float(), columns.float()


def _at_offsets(vectors: Tensor, pixels: int) -> Tensor:
    """Profiles (K, offsets) as matrices (K, pixels, fine pixels), zero beyond the offsets."""
    fine = FINE * (pixels + 2 * MARGIN)
    camera = torch.arange(pixels)[:, None] + MARGIN
    # Offset j of `vectors` belongs to a camera pixel whose left edge lies j - middle fine pixels
    # to the right of the fine pixel's.
    index = FINE * (camera + AIRY_REACH) - torch.arange(fine)[None] + FINE - 1
    inside = (index >= 0) & (index < vectors.shape[1])
    values = vectors[:, index.clamp(0, vectors.shape[1] - 1)]
    return torch.where(inside, values, 0.0)


def _positions(pixels: int) -> Tensor:
    """Centres of the fine pixels of a row with its margin, in camera pixels, float64."""
    fine = torch.arange(FINE * (pixels + 2 * MARGIN), dtype=torch.float64)
    return (fine + 0.5) / FINE - 0.5 - MARGIN
