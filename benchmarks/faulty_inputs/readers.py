"""Every reader of files, each with a whole file that it reads."""

import json
import shutil
import struct
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import tifffile
import torch

from bayesdl_sim.bayes.calibration.stored import read_calibrations
from bayesdl_sim.benchmarks.faulty_inputs.second_system import (
    Reader,
    wing_readers,
    write_wing_files,
)
from bayesdl_sim.data.formats.otf import MEASURED_OTFS, read_radial_otf
from bayesdl_sim.data.inputs import input_spec
from bayesdl_sim.data.sets.cache import stored_cache
from bayesdl_sim.data.sets.guesses import stored_guesses
from bayesdl_sim.data.sets.layout import DatasetSpec
from bayesdl_sim.data.stacks import read_stacks
from bayesdl_sim.inference.judging.gate import read_gate
from bayesdl_sim.models.bayesdl import build_network, member_payload, network_config
from bayesdl_sim.models.members import open_member
from bayesdl_sim.models.released import released_state
from bayesdl_sim.models.shipped import shipped_folder
from bayesdl_sim.tools.profile import read_result
from bayesdl_sim.training.run import check_record
from bayesdl_sim.utils.checkpoints import save_checkpoint
from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.files import read_json, write_json
from bayesdl_sim.utils.resume import load_progress, save_progress
from bayesdl_sim.utils.run_log import EpochLog

__all__ = ["READERS", "Reader", "write_whole_files"]

GUESSES = (2, 24, 20)  # stacks, rows, columns
IDENTITY = {"data": {"sample": "MT", "root_dir": "sha256:0"}, "sampler": {"epoch": 6}}


def _member(path: Path) -> None:
    input_spec(open_member(path).network.config, path)


def _gate(path: Path) -> None:
    whole = read_json(path.with_name("whole gate.json"))
    read_gate(path.parent, {item["file"]: item["sha256"] for item in whole["members"]})


def _config(path: Path) -> None:
    check_record(SimpleNamespace(folder=path.parent, step="step 1", identity=IDENTITY))


def _result(path: Path) -> None:
    read_result(path.parent, time=0)


def _progress(path: Path) -> None:
    load_progress(path, _parts(), IDENTITY, ("epoch", "collected"))


def _parts() -> dict[str, Any]:
    """The moving parts of a small training, after one step."""
    network = torch.nn.Linear(3, 2)
    adam = torch.optim.Adam(network.parameters())
    network(torch.ones(1, 3)).sum().backward()
    adam.step()
    return {"network": network, "adam": adam}


def _log(path: Path) -> None:
    EpochLog(path.parent, path.stem, first_epoch=3, tensorboard=False)


def _copy(path: Path) -> None:
    """The copy of a data set that training reads: used whole, or made again."""
    cache = stored_cache(path.parent)
    if cache is None:
        raise InputError(f"{path} is made again")
    for stack in cache.stacks:
        stack.norm.apply(cache.raw[stack.raw_row])
        stack.target_norm.apply(cache.target[stack.target_row])


def _guesses(path: Path) -> None:
    guesses = stored_guesses(path, GUESSES)
    if guesses is None:
        raise InputError(f"{path} is made again")
    np.asarray(guesses, np.float32)


READERS = {
    "TIFF (ImageJ)": Reader("stack.tif", read_stacks),
    "TIFF (OME)": Reader("stack.ome.tif", read_stacks),
    "MRC": Reader("stack.mrc", read_stacks),
    "member": Reader("member_01.pth", _member, "checkpoint"),
    "released member": Reader("SGLD_gauss_#1.pth", _member, "checkpoint"),
    "gate.json": Reader("gate.json", _gate, "json"),
    "calibration.json": Reader("calibration.json", read_calibrations, "json"),
    "dataset.json": Reader("dataset.json", DatasetSpec.from_json, "json"),
    "config.json": Reader("config.json", _config, "json"),
    "prediction.json": Reader("prediction.json", _result, "json"),
    "measured OTF": Reader("otf.mrc", read_radial_otf),
    "progress of a training": Reader("latest.pth", _progress, "checkpoint"),
    "log of a training": Reader("log.csv", _log),
    "copy of a set: index.json": Reader("copy/index.json", _copy, "json"),
    "copy of a set: raw.npy": Reader("copy/raw.npy", _copy),
    "copy of a set: target.npy": Reader("copy/target.npy", _copy),
    "kept first guesses": Reader("guesses.npy", _guesses),
    **wing_readers(),
}


def write_whole_files(folder: Path, rng: np.random.Generator) -> None:
    """A small undamaged file of every kind, under the names of `READERS`."""
    folder.mkdir(parents=True, exist_ok=True)
    frames = rng.poisson(60, (9, 24, 20)).astype(np.uint16)
    tifffile.imwrite(folder / "stack.tif", frames, imagej=True, metadata={"axes": "ZYX"})
    tifffile.imwrite(folder / "stack.ome.tif", frames, ome=True, metadata={"axes": "CYX"})
    header = struct.pack("<4i", 20, 24, 9, 6).ljust(1024, b"\0")
    (folder / "stack.mrc").write_bytes(header + frames.tobytes())
    small = {"in_channels": 9, "width": 4, "levels": 2, "blocks": 1}
    network = build_network(network_config("unet", "gauss", **small))
    save_checkpoint(folder / "member_01.pth", member_payload(network, {"kind": "sgld"}, {}))
    small = {"in_channels": 9, "width": 4, "groups": 1, "blocks": 1, "reduction": 2}
    network = build_network(network_config("rcan", "gauss", **small))
    torch.save(released_state(network), folder / "SGLD_gauss_#1.pth")
    for name in ("gate.json", "calibration.json"):
        shutil.copyfile(shipped_folder() / name, folder / name)
    shutil.copyfile(folder / "gate.json", folder / "whole gate.json")
    splits = {"train": [3, 4], "validation": [2], "test": [1]}
    details = {"generator": "simulation", "cells": {"1": {"kind": "MT"}}}
    spec = DatasetSpec("MT", "random", (48, 48), 2, 4, 62.6, 1, splits, details)
    spec.to_json(folder / "dataset.json")
    step = {"settings": IDENTITY, "run": {"device": "cpu"}, "provenance": {}}
    write_json(folder / "config.json", {"step 1": step})
    facts = {"channels": ["SR", "Aleatoric", "Epistemic", "Total"], "warnings": []}
    (folder / "prediction.json").write_text(json.dumps(facts), encoding="utf-8")
    images = rng.random((4, 12, 10)).astype(np.float32)
    tifffile.imwrite(folder / "Channels.ome.tif", images, ome=True, metadata={"axes": "CYX"})
    _write_training_files(folder, rng)
    write_wing_files(folder, rng)


def _write_training_files(folder: Path, rng: np.random.Generator) -> None:
    """Writes the files of a training and of the copy of its data set."""
    shutil.copyfile(MEASURED_OTFS[0][0], folder / "otf.mrc")
    save_progress(folder / "latest.pth", _parts(), IDENTITY, epoch=2, collected=1)
    log = EpochLog(folder, "log", tensorboard=False)
    for epoch in range(5):
        log.write(epoch, {"loss": rng.random(), "psnr": rng.random()})
    copy, (stacks, height, width) = folder / "copy", GUESSES
    copy.mkdir(exist_ok=True)
    np.save(copy / "raw.npy", rng.poisson(60, (stacks, 9, height // 2, width // 2)).astype("u2"))
    np.save(copy / "target.npy", rng.random((stacks, height, width), dtype=np.float32))
    rows = [[cell + 1, 1, cell, cell, [10.0, 90.0], [0.0, 1.0]] for cell in range(stacks)]
    write_json(copy / "index.json", {"root": "set", "sha256": "0" * 64, "stacks": rows})
    np.save(folder / "guesses.npy", rng.random(GUESSES).astype(np.float16))
