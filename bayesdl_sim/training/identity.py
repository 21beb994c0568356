"""What makes two runs the same: their settings, with the content of what a path names."""

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from bayesdl_sim.models.members import open_member
from bayesdl_sim.training.settings.shared import RunSettings

__all__ = ["identity_of", "run_record", "trunk_hash", "trunks_hash"]


def identity_of(settings: Any, contents: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """All themes of a step but `RunSettings`, as plain values.

    Args:
        settings: `Step1Settings` or `Step2Settings`.
        contents: SHA-256 of what each path names, by the name of the setting.

    Returns:
        Theme -> setting -> value. A path has become `sha256:...`, so that the same data in another
        place are the same and other data in the same place are not.

    Raises:
        KeyError: a setting is a path whose content was not handed in.
    """
    identity = {}
    for theme in dataclasses.fields(settings):
        values = getattr(settings, theme.name)
        if not isinstance(values, RunSettings):
            identity[theme.name] = {
                name: _plain(value, name, contents)
                for name, value in dataclasses.asdict(values).items()
            }
    return identity


def run_record(settings: Any) -> dict[str, Any]:
    """Where the run took place, for config.json: `RunSettings` and every path of the others."""
    record = dataclasses.asdict(settings)
    paths = {
        name: value
        for theme in record.values()
        for name, value in theme.items()
        if isinstance(value, Path)
    }
    return {
        name: str(value) if isinstance(value, Path) else value
        for name, value in (paths | record["run"]).items()
    }


def trunk_hash(path: Path) -> str:
    """SHA-256 of what step 1 made of a member: its network, its sampler and every weight.

    The tail is left out, so that a member stays the same member when step 2 gives it one.
    """
    member = open_member(path)
    facts = {**member.network.config, "likelihood": ""}, member.sampler
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode())
    for name, tensor in member.network.trunk.state_dict().items():
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def trunks_hash(paths: Iterable[Path]) -> str:
    """SHA-256 of several members, in their order."""
    return hashlib.sha256(" ".join(map(trunk_hash, paths)).encode()).hexdigest()


def _plain(value: Any, name: str, contents: Mapping[str, str]) -> Any:
    if isinstance(value, Path):
        return f"sha256:{contents[name]}"
    return list(value) if isinstance(value, tuple) else value  # as JSON gives it back
