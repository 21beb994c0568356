"""Members of the released BayesDL-SIM: bare state dicts, whose shapes define the network."""

import re
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bayesdl_sim.models.bayesdl import BayesDL, Member, build_network, network_config
from bayesdl_sim.models.rcan import TAIL_PARTS
from bayesdl_sim.models.stored_shapes import UNFIT, require_fitting
from bayesdl_sim.utils.checkpoints import load_state
from bayesdl_sim.utils.errors import InputError, require_file, require_folder

__all__ = [
    "is_released",
    "list_released",
    "load_released",
    "network_from_released",
    "released_state",
]

_FILE_NAME = re.compile(r"SGLD(?:_(gauss|laplace|student))?_#(\d+)\.pth")
_BODY = re.compile(r"body\.(\d+)\.(.*)")
_PARALLEL = "module."  # what torch's DataParallel puts before every name
_SQUEEZE = {"rcan": "CA.conv_du.0", "dfcan": "body.4.conv2.0"}  # of the first block's attention
_TAIL = "uncer_tail"


def is_released(path: Path) -> bool:
    """Whether a file has the name of a member of the released code."""
    return _FILE_NAME.fullmatch(path.name) is not None


def list_released(folder: str | Path) -> list[Path]:
    """The released members in a folder (SGLD_gauss_#1.pth ...) by their numbers; may be none."""
    numbered = [
        (int(match[2]), path)
        for path in require_folder(folder, "checkpoint folder").iterdir()
        if (match := _FILE_NAME.fullmatch(path.name))
    ]
    return [path for _, path in sorted(numbered)]


def load_released(
    path: Path, device: torch.device | str = "cpu", content: bytes | None = None
) -> Member:
    """One released member, ready to predict.

    Gaussian and Laplace tails have the same parameters; the name of the file decides.

    Args:
        content: the file's bytes, where they were read already.

    Raises:
        InputError: no state dict, or not one of the released network.
    """
    match = _FILE_NAME.fullmatch(path.name)
    named = (match and match[1]) or "gauss"
    if content is None:
        content = require_file(path, "checkpoint").read_bytes()
    state = load_state(path, content)
    network = network_from_released(state, named, str(path), len(content))
    network = network.to(device, memory_format=torch.channels_last).eval().requires_grad_(False)
    # The released code scales every stack by its smallest and largest count.
    return Member(network, {"kind": "released"}, {"normalisation": "min-max"})


def network_from_released(
    state: dict[str, Tensor],
    likelihood: str = "gauss",
    name: str = "the state dict",
    size: int | None = None,
) -> BayesDL:
    """Builds the network that a released state dict belongs to, and fills it.

    Args:
        state: released names (head, body, tail, uncer_tail; with or without `module.`).
        likelihood: "gauss" or "laplace", for a tail that could be either.
        name: the file, for the error message.
        size: bytes of the file; a network that needs more memory is refused. None: no limit.

    Raises:
        InputError: not the released network; it names the first parameter that does not fit.
    """
    state = {key.removeprefix(_PARALLEL): value for key, value in state.items()}
    try:
        config = _config(state, likelihood)
        renamed = _renamed(_without_dropout(state))
        require_fitting(renamed, config, build_network, sys.maxsize if size is None else size)
        network = build_network(config)
        network.load_state_dict(renamed)
    except KeyError as error:
        reason = f"{error.args[0]} is missing"
    except UNFIT as error:
        reason = " ".join(str(error).split())[:160]
    else:
        return network
    raise InputError(
        f"{name} holds no network of the released BayesDL-SIM (residual or Fourier channel "
        f"attention, doubling the grid): {reason}; name another folder"
    )


def released_state(network: BayesDL) -> dict[str, Tensor]:
    """The parameters of an RCAN or a bare DFCAN under their released names."""
    return {name.split(".", 1)[1]: value for name, value in network.state_dict().items()}


def _config(state: dict[str, Tensor], likelihood: str) -> dict[str, Any]:
    """Sizes and tail from names and shapes; KeyError names the first parameter that is missing."""
    width, in_channels = state["head.0.weight"].shape[:2]
    backbone = "dfcan" if "head.0.bias" in state else "rcan"
    hidden = state[f"body.0.body.0.{_SQUEEZE[backbone]}.weight"].shape[0]
    groups = {name.split(".")[1] for name in state if re.match(r"body\.\d+\.body\.", name)}
    blocks = {name.split(".")[3] for name in state if re.match(r"body\.0\.body\.\d+\.body\.", name)}
    tails = {name.split(".")[0] for name in state if name.startswith(_TAIL)}
    if not tails:
        likelihood = ""
    elif tails == set(TAIL_PARTS["student"]):
        likelihood = "student"
    elif likelihood not in ("gauss", "laplace"):
        raise ValueError(f"a tail of {likelihood} needs {' and '.join(TAIL_PARTS['student'])}")
    return network_config(
        backbone,
        likelihood,
        in_channels=in_channels,
        width=width,
        groups=len(groups),
        blocks=len(blocks),
        reduction=width // hidden,
    )


def _without_dropout(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Renumbers the groups if a dropout, which stores nothing, took every second number."""
    parts = {name: match.groups() for name in state if (match := _BODY.fullmatch(name))}
    numbers = sorted({int(number) for number, _ in parts.values()})
    if numbers != list(range(0, 2 * len(numbers), 2)):
        return state
    names = {
        name: f"body.{numbers.index(int(number))}.{rest}" for name, (number, rest) in parts.items()
    }
    return {names.get(name, name): value for name, value in state.items()}


def _renamed(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Released names -> those of `BayesDL`."""
    return {
        f"{'tail' if name.startswith(_TAIL) else 'trunk'}.{name}": value
        for name, value in state.items()
    }
