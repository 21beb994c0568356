"""Comparing stored parameters with the network they claim to be of, before it takes memory."""

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["UNFIT", "require_fitting"]

# What building a network from numbers that make no sense, or filling it, may raise.
UNFIT = (KeyError, TypeError, ValueError, IndexError, AttributeError, ArithmeticError, RuntimeError)
COUNTS = ("levels", "groups", "blocks")  # options of the backbones that multiply their layers


def require_fitting(
    state: Mapping[str, Tensor],
    config: Mapping[str, Any],
    build: Callable[[Mapping[str, Any]], nn.Module],
    size: int,
) -> None:
    """Proves that a network needs no more memory and time than the file that it comes from.

    The network is built on torch's device `meta`, where tensors have shapes but no numbers. A file
    of 1 kB that describes a network of 1 TB is refused at once.

    Args:
        state: name -> parameter, as read.
        config: configuration of the network, as `build` takes it.
        build: makes the network.
        size: size of the file in bytes.

    Raises:
        ValueError: anything that does not fit; also the other errors of `UNFIT`.
    """
    if not isinstance(state, Mapping):
        raise ValueError(f"expected named parameters, found a {type(state).__name__}")
    for name, value in state.items():
        if not (isinstance(name, str) and isinstance(value, Tensor)):
            raise ValueError(f"expected a parameter, found a {type(value).__name__}")
        dense = value.layout == torch.strided and value.device.type == "cpu"
        if not (dense and value.is_floating_point()):
            raise ValueError(f"{name[:60]}: expected floating-point numbers, found {value.dtype}")
    # A tensor of stride 0 has any shape, but only one number in the file.
    if sum(value.numel() * value.element_size() for value in state.values()) > size:
        raise ValueError("it claims more numbers than the file holds")
    if prod(max(1, int(config["options"].get(name, 1))) for name in COUNTS) > max(1, len(state)):
        raise ValueError("it has fewer parameters than its layers")
    if _is_small(config["options"]):
        return  # it can be built, and filling it compares the shapes
    with torch.device("meta"):  # loads torch's compiler, for 2 s, hence only for large ones
        expected = {name: value.shape for name, value in build(config).state_dict().items()}
    for name in [*expected, *state]:
        if name not in expected or name not in state:
            raise ValueError(f"{name[:60]} is {'missing' if name in expected else 'unknown'}")
        if state[name].shape != expected[name]:
            shapes = f"{tuple(expected[name])}, found {tuple(state[name].shape)}"
            raise ValueError(f"{name}: expected the shape {shapes}")


def _is_small(options: Mapping[str, Any]) -> bool:
    """Whether a network takes some 300 MB at most: few layers, none wider than 256."""
    width, levels = int(options.get("width", 64)), int(options.get("levels", 1))
    if levels > 5 or prod(max(1, int(options.get(name, 1))) for name in COUNTS) > 64:
        return False
    return max(width * 2 ** max(levels, 1), int(options.get("in_channels", 9))) <= 256
