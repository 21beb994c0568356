"""A folder of posterior members, listed once: the facts about each, and each as a function."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from numbers import Integral
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from bayesdl_sim.models.bayesdl import BayesDL, Member, Output, load_member
from bayesdl_sim.models.fields.poses import UPRIGHT, in_poses, poses_of
from bayesdl_sim.models.fields.tiling import predict_tiled
from bayesdl_sim.models.released import is_released, list_released, load_released
from bayesdl_sim.utils.checkpoints import list_members
from bayesdl_sim.utils.devices import autocast, exact_arithmetic
from bayesdl_sim.utils.errors import InputError, require_file

__all__ = [
    "HELD_BYTES",
    "TILE",
    "MemberFacts",
    "OpenMember",
    "apply_member",
    "first_member",
    "hashes_of",
    "open_member",
    "open_members",
]

TILE = 512  # raw pixels
HELD_BYTES = 2**30  # of members that stay in memory: 200 of the shipped ones


@dataclass(frozen=True, kw_only=True)
class MemberFacts:
    """Facts about a member that every result made with it records."""

    path: Path
    sha256: str  # of the very bytes that were loaded
    network: dict[str, Any]
    sampler: dict[str, Any]
    training: dict[str, Any]
    is_local: bool  # may be cut into tiles
    reach: int = 0  # raw pixels that a pixel of a local network sees on either side
    stride: int = 1  # raw pixels; tiles begin at multiples of it
    poses: tuple[int, ...] = UPRIGHT  # in which it is shown a field, see `models.fields.poses`

    @property
    def identity(self) -> str:
        """The SHA-256, and the poses unless upright: what a calibration is true of."""
        if self.poses == UPRIGHT:
            return self.sha256
        return f"{self.sha256} in pose {', '.join(map(str, self.poses))}"

    @property
    def with_min_max(self) -> bool:
        """Whether it was trained by the released code, which scales by min and max."""
        return self.training.get("normalisation") == "min-max"


class OpenMember(NamedTuple):
    """A member: what it is, and its network inputs (B, F, H, W) -> `Output` of (B, 1, 2H, 2W).

    The function takes another tile as its second argument.
    """

    facts: MemberFacts
    function: Callable[[Tensor], Output]


def open_members(
    folder: str | Path,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    tile: int = TILE,
    limit: int | None = None,
    held_bytes: float = HELD_BYTES,
) -> list[OpenMember]:
    """Opens the members of a folder, with the proof that they can be used together.

    The folder is listed once, each file is read once, its SHA-256 is that of the bytes that were
    loaded, and the network is held: what happens to the files afterwards changes nothing. Members
    beyond `held_bytes` are read again at each use, and refused if they are other ones by then.

    Args:
        folder: holds member_01.pth, member_02.pth, ..., or the released SGLD_gauss_#1.pth, ...
        device: where to compute; the outputs stay there.
        dtype: bfloat16 for mixed precision (outputs are float32 still), or float32.
        tile: side of a tile in raw pixels, see `models.fields.tiling`; of local networks only.
        limit: the first so many members only.
        held_bytes: size of the files whose members are held, together.

    Raises:
        InputError: no members, or fewer than `limit`; a checkpoint that cannot be used; networks
            that differ between the members. When called, a file that has changed.
    """
    device, opened, size = torch.device(device), [], 0
    for number, path in enumerate(_paths(folder, limit)):
        content = require_file(path, "checkpoint").read_bytes()
        size += len(content)
        held = size <= held_bytes
        member = open_member(path, device if held else "cpu", content)
        facts = _facts(path, content, member, poses_of(folder, number))
        if opened:
            _require_alike(facts, opened[0].facts)
        network = member.network if held else None
        opened.append(OpenMember(facts, _function(facts, network, device, dtype, tile)))
    return opened


def open_member(
    path: Path, device: torch.device | str = "cpu", content: bytes | None = None
) -> Member:
    """One member, of this code or (by its name, SGLD_gauss_#1.pth) of the released one.

    Args:
        content: the file's bytes, where they were read already.

    Raises:
        InputError: a checkpoint that cannot be used.
    """
    load = load_released if is_released(path) else load_member
    return load(path, device, content)


def first_member(path: Path) -> Path:
    """The file itself, or the first member of a folder."""
    return path if path.is_file() else _paths(path, 1)[0]


def hashes_of(members: Iterable[MemberFacts]) -> dict[str, str]:
    """File name -> identity: what a calibration or a gate was fitted for."""
    return {member.path.name: member.identity for member in members}


def apply_member(
    network: BayesDL,
    raw: Tensor,
    device: torch.device,
    dtype: torch.dtype = torch.float32,
    tile: int = TILE,
    poses: Sequence[int] = UPRIGHT,
) -> Output:
    """A network on network inputs (B, F, H, W), as every prediction runs it.

    Args:
        network: the network on that device, in evaluation mode.
        dtype, tile: as in `open_members`.
        poses: in which it is shown them; the outputs are averaged.
    """

    def apply(network: BayesDL, raw: Tensor) -> Output:
        return predict_tiled(network, raw.contiguous(memory_format=torch.channels_last), tile)

    with torch.no_grad(), exact_arithmetic(), autocast(device, dtype):
        return in_poses(network, raw.to(device), poses, apply)


def _function(
    facts: MemberFacts,
    network: BayesDL | None,
    device: torch.device,
    dtype: torch.dtype,
    tile: int,
) -> Callable[[Tensor], Output]:
    def apply(raw: Tensor, tile: int = tile) -> Output:
        used = _read_again(facts, device) if network is None else network
        return apply_member(used, raw, device, dtype, tile, facts.poses)

    return apply


def _read_again(facts: MemberFacts, device: torch.device) -> BayesDL:
    content = require_file(facts.path, "checkpoint").read_bytes()
    if sha256(content).hexdigest() != facts.sha256:
        raise InputError(
            f"{facts.path} was replaced while it was in use: the result would mix two posteriors; "
            "leave the members alone and run it again"
        )
    return open_member(facts.path, device, content).network


def _facts(path: Path, content: bytes, member: Member, poses: tuple[int, ...]) -> MemberFacts:
    return MemberFacts(
        path=path,
        sha256=sha256(content).hexdigest(),
        network=member.network.config,
        sampler=member.sampler,
        training=member.training,
        is_local=member.network.is_local,
        reach=member.network.receptive_radius if member.network.is_local else 0,
        stride=member.network.stride,
        poses=poses,
    )


def _require_alike(facts: MemberFacts, first: MemberFacts) -> None:
    if facts.network != first.network:
        raise InputError(
            f"{facts.path} holds {_words(facts.network)}, but {first.path.name} holds "
            f"{_words(first.network)}: the members of one posterior have the same network; "
            "remove those of the other run"
        )


def _paths(folder: str | Path, limit: int | None) -> list[Path]:
    paths = list_released(folder)
    if not paths:
        paths = list_members(folder)
    elif ours := sorted(Path(folder).glob("member_*.pth")):
        raise InputError(
            f"{folder} holds {paths[0].name} of the released code and {ours[0].name} of this one: "
            "two posteriors; put one of them into another folder"
        )
    if limit is not None and (not isinstance(limit, Integral) or not 1 <= limit <= len(paths)):
        raise InputError(
            f"{folder} holds {len(paths)} member(s), {limit} were requested: expected 1 to "
            f"{len(paths)}"
        )
    return paths[:limit]


def _words(config: dict[str, Any]) -> str:
    options = ", ".join(f"{name} {value}" for name, value in sorted(config["options"].items()))
    tail = f"{config['likelihood']} tail" if config["likelihood"] else "no uncertainty tail"
    return f"a {config['backbone']} ({options}; {tail})"
