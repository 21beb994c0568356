"""A folder of posterior draws as functions `raw -> (mean, log_var)`, loaded when called."""

from collections.abc import Callable, Iterable
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

import bayesdl_sim
from bayesdl_sim.models.bayesdl import Member, Output, load_member
from bayesdl_sim.models.released import is_released, list_released, load_released
from bayesdl_sim.models.tiling import predict_tiled
from bayesdl_sim.utils.checkpoints import list_members
from bayesdl_sim.utils.devices import autocast
from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.files import sha256

__all__ = [
    "TILE",
    "MemberFacts",
    "hashes_of",
    "describe_members",
    "first_member",
    "member_functions",
    "open_member",
    "shipped_folder",
]

SHIPPED = Path("checkpoint", "F-actin", "pretrained_G")
TILE = 512  # raw pixels


class MemberFacts(NamedTuple):
    """What a result must say about a draw that it was made with."""

    path: Path
    sha256: str
    network: dict[str, Any]
    sampler: dict[str, Any]
    training: dict[str, Any]
    is_local: bool  # may be cut into tiles

    @property
    def with_min_max(self) -> bool:
        """Whether it was trained by the released code, which scales by min and max."""
        return self.training.get("normalisation") == "min-max"


def member_functions(
    folder: str | Path,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    tile: int = TILE,
    limit: int | None = None,
    keep: bool = False,
) -> list[Callable[[Tensor], Output]]:
    """The draws of a folder, as `bayes.prediction.predict` takes them.

    Each function loads its member when it is called and forgets it again, so that memory does not
    grow with their number. Loading takes a quarter of the time of a prediction of 128 x 128 raw
    pixels on one core: whoever predicts many such fields keeps the members.

    Args:
        folder: with member_01.pth, member_02.pth, ..., or the released SGLD_gauss_#1.pth, ...
        device: where to compute; the outputs stay there.
        dtype: bfloat16 for mixed precision (outputs are float32 still), or float32.
        tile: side of a tile in raw pixels, see `models.tiling`; of local networks only.
        limit: the first so many members only.
        keep: load each member once, at its first call, and hold it as long as its function.

    Returns:
        Functions of network inputs (B, F, H, W) to `Output` of (B, 1, 2H, 2W).

    Raises:
        InputError: no members, or fewer than `limit`; when called, a checkpoint that cannot be
            used.
    """
    device = torch.device(device)

    def function(path: Path) -> Callable[[Tensor], Output]:
        load = partial(open_member, path, device)
        load = cache(load) if keep else load

        def apply(raw: Tensor) -> Output:
            network = load().network
            raw = raw.to(device).contiguous(memory_format=torch.channels_last)
            with torch.no_grad(), autocast(device, dtype):
                return predict_tiled(network, raw, tile)

        return apply

    return [function(path) for path in _paths(folder, limit)]


def describe_members(folder: str | Path, limit: int | None = None) -> list[MemberFacts]:
    """What the draws of a folder are, with the proof that they can all be used together.

    Raises:
        InputError: as `member_functions`; networks that differ between the members.
    """
    facts = []
    for path in _paths(folder, limit):
        member = open_member(path, "cpu")
        config = member.network.config
        if facts and config != facts[0].network:
            raise InputError(
                f"{path} holds {_words(config)}, but {facts[0].path.name} holds "
                f"{_words(facts[0].network)}: the members of one posterior have one network; "
                "remove those of the other run"
            )
        facts.append(
            MemberFacts(
                path=path,
                sha256=sha256(path),
                network=config,
                sampler=member.sampler,
                training=member.training,
                is_local=member.network.is_local,
            )
        )
    return facts


def shipped_folder() -> Path:
    """The folder of the shipped members, beside the code in a checkout and inside it in a wheel.

    Raises:
        InputError: the installation lacks it.
    """
    for base in bayesdl_sim.__path__:
        if (Path(base) / SHIPPED).is_dir():
            return Path(base) / SHIPPED
    raise InputError(
        f"the shipped posterior is missing: no folder {SHIPPED} beside the code; install again, or "
        "name a folder of members"
    )


def open_member(path: Path, device: torch.device | str = "cpu") -> Member:
    """One draw, of this code or (by its name, SGLD_gauss_#1.pth) of the released one.

    Raises:
        InputError: a checkpoint that cannot be used.
    """
    return load_released(path, device) if is_released(path) else load_member(path, device)


def first_member(path: Path) -> Path:
    """The file itself, or the first member of a folder."""
    return path if path.is_file() else _paths(path, 1)[0]


def hashes_of(members: Iterable[MemberFacts]) -> dict[str, str]:
    """File name -> SHA-256: what a calibration or a gate was fitted for."""
    return {member.path.name: member.sha256 for member in members}


def _paths(folder: str | Path, limit: int | None) -> list[Path]:
    paths = list_released(folder)
    if not paths:
        paths = list_members(folder)
    elif ours := sorted(Path(folder).glob("member_*.pth")):
        raise InputError(
            f"{folder} holds {paths[0].name} of the released code and {ours[0].name} of this one: "
            "two posteriors; put one of them into another folder"
        )
    if limit is not None and not 1 <= limit <= len(paths):
        raise InputError(
            f"{folder} holds {len(paths)} member(s), {limit} were asked for: expected 1 to "
            f"{len(paths)}"
        )
    return paths[:limit]


def _words(config: dict[str, Any]) -> str:
    options = ", ".join(f"{name} {value}" for name, value in sorted(config["options"].items()))
    tail = f"{config['likelihood']} tail" if config["likelihood"] else "no uncertainty tail"
    return f"a {config['backbone']} ({options}; {tail})"
