"""Large fields tile by tile, with the result of the whole field."""

from torch import Tensor

from bayesdl_sim.models.bayesdl import BayesDL, Output
from bayesdl_sim.utils.pieces.spans import Block, blocks_of, doubled

__all__ = ["predict_tiled"]


def predict_tiled(network: BayesDL, raw: Tensor, tile: int = 512) -> Output:
    """Applies the network to tiles with a halo of its receptive radius, which is cut off again.

    Each kept pixel sees just what it sees in the whole field, so the result is the same up to
    rounding; blending of overlapping windows would not be. A network that is not local
    (`BayesDL.is_local`: it averages over the field somewhere) has no such tiles and always gets
    the whole field: it takes more memory, but tiles would change the result.

    Tiles begin at whole strides, so that the network's coarse grids are those of the whole field;
    only the tile at the far edge may end between strides, and is padded there like the field.

    Args:
        raw: (B, F, H, W) normalised frames; normalise the whole field first, never a tile.
        tile: side of the kept part in raw pixels; fields up to this size are not cut.

    Returns:
        `Output` of (B, 1, 2H, 2W).
    """
    height, width = raw.shape[-2:]
    if not network.is_local or (height <= tile and width <= tile):
        return network(raw)
    mean = log_var = None
    for block in blocks_of((height, width), tile, network.receptive_radius, network.stride):
        output = network(raw[..., *block.read])
        if mean is None:
            mean = _canvas(raw, output.mean)
            log_var = None if output.log_var is None else _canvas(raw, output.log_var)
        _paste(mean, output.mean, block)
        if log_var is not None:
            _paste(log_var, output.log_var, block)
    return Output(mean, log_var)


def _canvas(raw: Tensor, like: Tensor) -> Tensor:
    return like.new_empty((*like.shape[:2], 2 * raw.shape[-2], 2 * raw.shape[-1]))


def _paste(canvas: Tensor, part: Tensor, block: Block) -> None:
    canvas[..., *map(doubled, block.write)] = part[..., *map(doubled, block.keep)]
