"""The shipped posterior: its members, their predictions of a field, calibrated probabilities."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from bayesdl_sim.bayes.prediction import Welford
from bayesdl_sim.dlbi.blinking import FINE
from bayesdl_sim.dlbi.network.features import Features, crop_features, turned
from bayesdl_sim.dlbi.network.occupation import OccupationMap, density_of_field, read_map
from bayesdl_sim.dlbi.network.unrolled import FORMAT, MomentsGenerator
from bayesdl_sim.models.dropout import fix_dropout
from bayesdl_sim.models.stored_shapes import UNFIT, require_fitting
from bayesdl_sim.utils.checkpoints import list_members, load_checkpoint
from bayesdl_sim.utils.console.progress import Report, unreported
from bayesdl_sim.utils.devices import autocast
from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.pieces.poses import turn_back

__all__ = [
    "CALIBRATION",
    "SHIPPED",
    "NetworkPosterior",
    "Predicted",
    "load_posterior",
    "read_member",
]

SHIPPED = Path(__file__).resolve().parents[2] / "checkpoint" / "blinking" / "pretrained_G"
CALIBRATION = "calibration.json"
TILE = 96  # camera pixels
REASON_LENGTH = 200  # characters of torch's own message
OVERLAP = 24  # camera pixels around a tile that are also inputs of the network


@dataclass(frozen=True, kw_only=True)
class Predicted:
    """Prediction of the members for a field.

    Args:
        density: (8H, 8W) fluorophores per fine pixel, mean of the members.
        spread: (8H, 8W) standard deviation between the members.
        probability: (8H, 8W) that a fluorophore lies in the fine pixel, calibrated where the
            members have a map for that.
        stated: (8H, 8W) the members' own probability, without any map.
        brightness_e: mean electrons per frame of one fluorophore.
    """

    density: Tensor
    spread: Tensor
    probability: Tensor
    stated: Tensor
    brightness_e: float


@dataclass(frozen=True, kw_only=True)
class NetworkPosterior:
    """Members of the posterior, loaded and ready to predict.

    Args:
        members: the networks, each with its own dropout masks.
        names, hashes: of the files they came from.
        calibration: map of the probability of occupation, None without one.
        note: why there is none although the folder holds one; else empty.
        device, dtype: of the arithmetic.
    """

    members: tuple[MomentsGenerator, ...]
    names: tuple[str, ...]
    hashes: tuple[str, ...]
    calibration: OccupationMap | None
    device: torch.device
    dtype: torch.dtype
    note: str = ""

    @torch.no_grad()
    def predict(self, features: Features, report: Report = unreported) -> Predicted:
        """Predicts with each member once, on a field turned and flipped differently for each.

        Args:
            report: called with the number of members that have predicted.
        """
        density, probability, brightness = Welford(), Welford(), []
        for index, member in enumerate(self.members):
            light, occupied, log_brightness = self._ask(member, turned(features, index))
            log_brightness = log_brightness.median()
            brightness.append(float(log_brightness))
            density.add(turn_back(light, index))
            probability.add(turn_back(torch.sigmoid(occupied), index))
            report(index + 1, len(self.members), "members")
        scale = float(features.scale)
        typical = float(np.mean(brightness))
        light_of_one = float(np.exp(typical))
        fluorophores, stated = density.mean[0] / light_of_one, probability.mean[0]
        chance = stated
        if self.calibration is not None:
            field = density_of_field(stated.numpy(), fluorophores.numpy())
            chance = torch.from_numpy(self.calibration.calibrated(stated.numpy(), field))
        return Predicted(
            density=fluorophores,
            spread=density.variance[0].sqrt() / light_of_one,
            probability=chance,
            stated=stated,
            brightness_e=light_of_one * scale,
        )

    def _ask(self, member: MomentsGenerator, features: Features) -> tuple[Tensor, Tensor, Tensor]:
        """Light, logits of occupation and brightness of a field, tile by tile."""
        height, width = features.mean.shape[-2:]
        light = torch.zeros((1, FINE * height, FINE * width))
        occupied = torch.zeros_like(light)
        brightness = []
        for top, bottom in _spans(height):
            for left, right in _spans(width):
                first = (max(top - OVERLAP, 0), max(left - OVERLAP, 0))
                last = (min(bottom + OVERLAP, height), min(right + OVERLAP, width))
                size = (last[0] - first[0], last[1] - first[1])
                part = crop_features(features, *first, *size)
                with autocast(self.device, self.dtype):
                    structure = member(_moved(part, self.device))
                rows = slice(FINE * top, FINE * bottom)
                columns = slice(FINE * left, FINE * right)
                inner = (
                    slice(FINE * (top - first[0]), FINE * (bottom - first[0])),
                    slice(FINE * (left - first[1]), FINE * (right - first[1])),
                )
                light[:, rows, columns] = structure.light.cpu()[:, inner[0], inner[1]]
                occupied[:, rows, columns] = structure.occupied.cpu()[:, inner[0], inner[1]]
                brightness.append(structure.log_brightness.cpu())
        return light, occupied, torch.cat(brightness)


def load_posterior(
    folder: str | Path | None = None,
    device: torch.device | None = None,
    dtype: torch.dtype = torch.float32,
    limit: int | None = None,
    calibration: bool = True,
) -> NetworkPosterior:
    """Loads the members of a folder; the shipped ones by default.

    The map of the probability beside them is used if it was fitted for these very members.

    Args:
        limit: number of members, the first ones; None: all.
        calibration: whether the map is used.

    Raises:
        InputError: fewer members than asked for, files that are not members of this network, or a
            damaged map or one of another version.
    """
    folder = Path(folder) if folder is not None else SHIPPED
    device = device or torch.device("cpu")
    paths = list_members(folder, "python -m dlbi.train")
    if limit is not None and limit > len(paths):
        raise InputError(f"members: {folder} holds {len(paths)}, but {limit} were asked for")
    paths = paths[:limit]
    members, hashes = [], []
    for index, path in enumerate(paths):
        content = path.read_bytes()  # once: the hashed bytes are the used ones
        member = read_member(path, content)
        fix_dropout(member, index)
        members.append(member.to(device, memory_format=torch.channels_last).eval())
        hashes.append(hashlib.sha256(content).hexdigest())
    names, found, note = tuple(path.name for path in paths), None, ""
    if calibration and (folder / CALIBRATION).is_file():
        found, note = _map_for(folder / CALIBRATION, names, tuple(hashes))
    return NetworkPosterior(
        members=tuple(members),
        names=names,
        hashes=tuple(hashes),
        calibration=found,
        device=device,
        dtype=dtype,
        note=note,
    )


def _map_for(
    path: Path, names: tuple[str, ...], hashes: tuple[str, ...]
) -> tuple[OccupationMap | None, str]:
    """The map of a file, or None and the reason where it was fitted for other members."""
    stored, start = read_map(path), f"the probability is not calibrated: {path} "
    if len(names) != len(stored.names):
        count = len(stored.names)
        return None, f"{start}was fitted for {count} members together, {len(names)} predict"
    if (names, hashes) != (stored.names, stored.hashes):
        return None, f"{start}was fitted for other members"
    return stored.map, ""


def read_member(path: Path, content: bytes) -> MomentsGenerator:
    """The network of one member, from the bytes of its file.

    Raises:
        InputError: damaged, of another network, or parameters that do not match it.
    """
    payload = load_checkpoint(path, content)
    network = payload.get("network")
    kind = network.get("generator") if isinstance(network, dict) else None
    if payload["format"] != FORMAT or kind != "moments":
        raise InputError(
            f"{path}: expected a member of the moments generator (python -m dlbi.train), found "
            f"{payload['format']}"
        )
    try:
        options = {name: network[name] for name in ("width", "dropout")}
        options["blocks"] = network.get("blocks", 1)  # as of members without it
        config = {"options": options}
        require_fitting(
            payload["state"], config, lambda _: MomentsGenerator(**options), len(content)
        )
        member = MomentsGenerator(**options)
        member.load_state_dict({name: value.float() for name, value in payload["state"].items()})
    except UNFIT as error:
        reason = " ".join(str(error).split())[:REASON_LENGTH]
        raise InputError(
            f"{path}: the parameters do not fit the moments generator ({reason}); copy or train "
            "the member again"
        ) from None
    return member


def _spans(length: int) -> list[tuple[int, int]]:
    """Tiles of nearly equal length along one axis."""
    count = -(-length // TILE)
    edges = [round(number * length / count) for number in range(count + 1)]
    return list(zip(edges, edges[1:], strict=False))


def _moved(features: Features, device: torch.device) -> Features:
    if device.type == "cpu":
        return features
    return Features(**{name: value.to(device) for name, value in vars(features).items()})
