"""`--chains N`: independent chains, one process each, and their members."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from subprocess import STDOUT, Popen, TimeoutExpired
from typing import Any

import torch

import bayesdl_sim
from bayesdl_sim.models.fields.poses import are_posed, note_poses
from bayesdl_sim.utils.checkpoints import list_members, member_path
from bayesdl_sim.utils.console.threads import usable_cores
from bayesdl_sim.utils.errors import InputError, writable_folder
from bayesdl_sim.utils.files import atomic_path, read_json, write_json
from bayesdl_sim.utils.folders.lock import owned_folder
from bayesdl_sim.utils.run_log import provenance

__all__ = ["chain_names", "collect_members", "run_chains"]

RECORD = "chains.json"
LOG = "chain.log"


def chain_names(name: str, chains: int) -> list[str]:
    """Names of the runs of the chains of an experiment."""
    return [f"{name}-chain{number}" for number in range(1, chains + 1)]


def run_chains(words: Sequence[str], settings: Any) -> int:
    """Runs every chain to its end, side by side, and collects their members.

    The first chain has the seed of the settings, each further one the next. The folders of the
    chains lie beside that of the settings, which gets the members.

    Args:
        words: the command line of train.py.
        settings: its settings, of step 1 or step 2.

    Returns:
        The number of members.

    Raises:
        InputError: a chain fails, the folder holds members of other runs, or step 2 is to work on
            members that are not those of the chains.
    """
    folder, chains, seed = settings.run.folder, settings.run.chains, settings.numerics.seed
    if getattr(settings, "tail", None) is not None and settings.tail.pretrained_G is not None:
        raise InputError("chains: step 2 takes the members of each chain; leave pretrained_G out")
    name, _, ending = folder.name.rpartition("-")
    names = chain_names(name, chains)
    folders = [folder.with_name(f"{chain}-{ending}") for chain in names]
    words = _without(words, ("--chains", "--exp_name", "--seed"))
    with owned_folder(writable_folder(folder)):
        _claim(folder, names)
        running = []
        try:
            for number, chain in enumerate(names):
                command = [*words, "--exp_name", chain, "--seed", str(seed + number)]
                running.append(_start(command, folders[number], number, chains))
            _wait(running, folders)
        finally:
            for process in running:
                process.terminate()  # does nothing to one that has ended
                process.wait()
        return collect_members(folders, folder)


def _without(words: Sequence[str], options: tuple[str, ...]) -> list[str]:
    """A command line without some options and their values."""
    words_left, skip = [], False
    for word in words:
        if skip:
            skip = False
        elif word in options:
            skip = True
        elif word.split("=")[0] not in options:
            words_left.append(word)
    return words_left


def _start(words: list[str], folder: Path, number: int, chains: int) -> Popen:
    """One chain, on a GPU of its own where there are several, with its share of the cores."""
    environment = dict(os.environ)
    environment.setdefault("OMP_NUM_THREADS", str(max(1, usable_cores() // chains)))
    home = str(Path(bayesdl_sim.__file__).resolve().parents[1])
    environment["PYTHONPATH"] = os.pathsep.join([home, environment.get("PYTHONPATH", "")])
    if not {"--device", "--gpu_id"} & set(words) and torch.cuda.is_available():
        words = [*words, "--device", f"cuda:{number % torch.cuda.device_count()}"]
    log = writable_folder(folder) / LOG
    print(f"   chain {number + 1} of {chains}: {folder}, progress in {log}")
    with log.open("w", encoding="utf-8") as file:
        command = [sys.executable, "-m", "bayesdl_sim.commands.train", *words]
        return Popen(command, env=environment, stdout=file, stderr=STDOUT)


def _wait(running: list[Popen], folders: list[Path]) -> None:
    """Waits for all; the failure of one ends the others, whose progress `resume` goes on with."""
    pending = dict(zip(running, folders, strict=True))
    while pending:
        for process, folder in list(pending.items()):
            try:
                code = process.wait(timeout=0.2)
            except TimeoutExpired:
                continue
            del pending[process]
            if code:
                text = (folder / LOG).read_text(encoding="utf-8", errors="replace")
                last = (text.strip().splitlines() or ["no message"])[-1].removeprefix("error: ")
                raise InputError(f"the chain {folder.name} failed: {last}; see {folder / LOG}")


def collect_members(folders: Sequence[Path], target: Path) -> int:
    """Copies the members of all chains into one folder; chains take turns, draw by draw.

    The first few members are then of several chains.
    """
    drawn = [list_members(folder) for folder in folders]
    turns = [
        paths[draw] for draw in range(max(map(len, drawn))) for paths in drawn if draw < len(paths)
    ]
    for index, path in enumerate(turns, start=1):
        with atomic_path(member_path(target, index)) as partial:
            partial.write_bytes(path.read_bytes())
    sources = [f"{path.parent.name}/{path.name}" for path in turns]
    record = {"chains": [folder.name for folder in folders], "members": sources}
    write_json(target / RECORD, record | {"provenance": provenance()})
    note_poses(target, all(map(are_posed, folders)))
    print(f"{len(turns)} members of {len(folders)} chains in {target}")
    return len(turns)


def _claim(folder: Path, names: Sequence[str]) -> None:
    """Refuses a folder with members that were not collected from these chains."""
    if not any(folder.glob("member_*.pth")):
        return
    path = folder / RECORD
    stored = read_json(path).get("chains", []) if path.is_file() else []
    experiments = [chain.rpartition("-")[0] for chain in stored]
    if experiments != list(names):
        raise InputError(
            f"{folder} holds members of another run: choose another exp_name, or delete the folder"
        )
