"""The imaging model on the fine grid: a Gaussian image of each fine pixel on the camera."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from bayesdl_sim.dlbi.blinking import FINE, MARGIN
from bayesdl_sim.dlbi.simulation.spots import pixel_weights

__all__ = ["Imaging", "imaging_of"]


class Imaging(NamedTuple):
    """Separable image formation, `image = rows @ fine @ columns.T`.

    The fine grid has `MARGIN` camera pixels more on every side than the field: light of what lies
    beyond the border reaches the camera. `rows` is (H, 8(H + 2M)), `columns` (W, 8(W + 2M)).
    """

    rows: Tensor
    columns: Tensor

    @property
    def fine_shape(self) -> tuple[int, int]:
        return self.rows.shape[1], self.columns.shape[1]

    def forward(self, fine: Tensor) -> Tensor:
        """Light per fine pixel (..., 8(H + 2M), 8(W + 2M)) to light per camera pixel."""
        return self.rows @ fine @ self.columns.T

    def adjoint(self, image: Tensor) -> Tensor:
        """Transpose of `forward`: (..., H, W) to the fine grid."""
        return self.rows.T @ image @ self.columns

    def squared(self) -> Imaging:
        """The model of a variance, in which every emitter counts with its squared image."""
        return Imaging(self.rows.square(), self.columns.square())

    def shifted(self, axis: int) -> Imaging:
        """The model of the covariance of each pixel and its next neighbour along an axis."""
        parts = [self.rows.square(), self.columns.square()]
        single = self.rows if axis == 0 else self.columns
        parts[axis] = single * torch.cat([single[1:], single[-1:]])
        return Imaging(*parts)

    @staticmethod
    def crop(fine: Tensor) -> Tensor:
        """The field (..., 8H, 8W) out of the grid with its margin."""
        edge = FINE * MARGIN
        return fine[..., edge:-edge, edge:-edge]


def imaging_of(shape: tuple[int, int], sigma: float) -> Imaging:
    """The model for a field of (H, W) camera pixels and a Gaussian of `sigma` camera pixels."""
    weights = []
    for pixels in shape:
        fine = torch.arange(FINE * (pixels + 2 * MARGIN), dtype=torch.float64)
        positions = (fine + 0.5) / FINE - 0.5 - MARGIN
        weights.append(pixel_weights(positions, sigma, pixels).T.float().contiguous())
    return Imaging(*weights)
