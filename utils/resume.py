"""Going on after an interruption: the states of all moving parts of a run in one file."""

from pathlib import Path
from typing import Any

from bayesdl_sim.utils.checkpoints import load_checkpoint, save_checkpoint
from bayesdl_sim.utils.errors import InputError

__all__ = ["load_progress", "refuse_used_folder", "save_progress"]


def save_progress(
    path: Path, parts: dict[str, Any], identity: dict[str, Any], **progress: Any
) -> None:
    """Writes the state of every part, atomically.

    Args:
        parts: objects with `state_dict` (network, optimiser, schedule, sampler), by name.
        identity: the options that decide the result; a resumed run must have the same.
        progress: numbers and lists that say how far the run is.
    """
    states = {name: part.state_dict() for name, part in parts.items()}
    save_checkpoint(path, {"identity": identity, "progress": progress, "states": states})


def load_progress(path: Path, parts: dict[str, Any], identity: dict[str, Any]) -> dict[str, Any]:
    """Puts the stored states back into the parts and returns the progress.

    Raises:
        InputError: another option than in the interrupted run, by name.
    """
    payload = load_checkpoint(path)
    for name, value in payload.get("identity", {}).items():
        if value != identity.get(name):
            raise InputError(
                f"{path} was trained with --{name} {value}, now it is {identity.get(name)}: "
                "resume with the same options, or start anew without --resume"
            )
    for name, state in payload.get("states", {}).items():
        if name in parts:
            parts[name].load_state_dict(state)
    return payload.get("progress", {})


def refuse_used_folder(folder: Path) -> None:
    """Members of two runs in one folder would pass for one posterior: `InputError`."""
    used = sorted(path.name for path in folder.glob("*.pth"))
    if used:
        raise InputError(
            f"{folder} already holds {used[0]} of an earlier run: go on with it by --resume, "
            "choose another --exp_name, or delete the folder to start anew"
        )
