"""Every reader of files, each with a whole file that it reads."""

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import tifffile
import torch

from bayesdl_sim.bayes.calibration.stored import read_calibrations
from bayesdl_sim.data.inputs import input_spec
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
from bayesdl_sim.utils.files import read_json, write_json

__all__ = ["READERS", "Reader", "write_whole_files"]

IDENTITY = {"data": {"sample": "MT", "root_dir": "sha256:0"}, "sampler": {"epoch": 6}}


class Reader(NamedTuple):
    """A file name, what reads the file, and its form, a key of `damage.DAMAGES`."""

    file: str
    read: Callable[[Path], Any]
    form: str = "binary"


def _member(path: Path) -> None:
    input_spec(open_member(path).network.config)


def _gate(path: Path) -> None:
    whole = read_json(path.with_name("whole gate.json"))
    read_gate(path.parent, {item["file"]: item["sha256"] for item in whole["members"]})


def _config(path: Path) -> None:
    check_record(SimpleNamespace(folder=path.parent, step="step 1", identity=IDENTITY))


def _result(path: Path) -> None:
    read_result(path.parent, time=0)


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
