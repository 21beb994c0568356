"""Large fields tile by tile, with the result of the whole field."""

from collections.abc import Iterator
from typing import NamedTuple

from torch import Tensor

from bayesdl_sim.models.bayesdl import BayesDL, Output

__all__ = ["predict_tiled"]


class Tile(NamedTuple):
    """Where to read (with halo) and which part of that to keep; raw pixels along one axis."""

    read: slice
    keep: slice
    write: slice


def predict_tiled(network: BayesDL, raw: Tensor, tile: int = 512) -> Output:
    """Applies the network to tiles with a halo of its receptive radius, which is cut off again.

    Each kept pixel sees just what it sees in the whole field, so the result is the same up to
    rounding; blending of overlapping windows would not be. A network that is not local
    (`BayesDL.is_local`: it averages over the field somewhere) has no such tiles and always gets
    the whole field: it takes more memory, but tiles would change the result.

    Args:
        raw: (B, F, H, W) normalised frames; normalise the whole field first, never a tile.
        tile: side of the kept part in raw pixels; fields up to this size are not cut.

    Returns:
        `Output` of (B, 1, 2H, 2W).
    """
    height, width = raw.shape[-2:]
    if not network.is_local or (height <= tile and width <= tile):
        return network(raw)
    rows = list(_tiles(height, tile, network.stride, network.receptive_radius))
    columns = list(_tiles(width, tile, network.stride, network.receptive_radius))
    mean = log_var = None
    for row in rows:
        for column in columns:
            output = network(raw[..., row.read, column.read])
            if mean is None:
                mean = _canvas(raw, output.mean)
                log_var = None if output.log_var is None else _canvas(raw, output.log_var)
            _paste(mean, output.mean, row, column)
            if log_var is not None:
                _paste(log_var, output.log_var, row, column)
    return Output(mean, log_var)


def _tiles(length: int, tile: int, stride: int, halo: int) -> Iterator[Tile]:
    """Tiles of about equal length, at most `tile` (rounded up to whole strides).

    They begin at whole strides, so that the network's coarse grids are those of the whole field;
    only the tile at the far edge may end between strides, and is padded there like the field.
    """
    tile = -(-length // -(-length // tile))
    tile = -(-tile // stride) * stride
    for start in range(0, length, tile):
        stop = min(start + tile, length)
        first, last = max(start - halo, 0), min(stop + halo, length)
        yield Tile(
            read=slice(first, last),
            keep=slice(2 * (start - first), 2 * (stop - first)),
            write=slice(2 * start, 2 * stop),
        )


def _canvas(raw: Tensor, like: Tensor) -> Tensor:
    return like.new_empty((*like.shape[:2], 2 * raw.shape[-2], 2 * raw.shape[-1]))


def _paste(canvas: Tensor, part: Tensor, row: Tile, column: Tile) -> None:
    canvas[..., row.write, column.write] = part[..., row.keep, column.keep]
