"""The programs that are disturbed: small inputs, command lines, and earlier results.

Every program gets a folder of its own for what it writes. Two runs are equal if the same files hold
the same content, except times, dates and versions.
"""

from __future__ import annotations

import re
import shutil
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile

from bayesdl_sim.benchmarks.robustness.running import run
from bayesdl_sim.benchmarks.shared.second_system import WING, wing_is_here
from bayesdl_sim.utils.errors import InputError

__all__ = ["PROGRAMS", "Program", "filled", "make_inputs", "prepare", "rival"]

STACKS = "abc"
VOXEL_UM = 0.0626  # of BioSR


@dataclass(frozen=True, kw_only=True)
class Program:
    """A command line, with `{inputs}` and `{out}` for the two folders.

    Attributes:
        words: after the interpreter.
        results: path below `{out}` of what it writes.
        before: name of the program whose results it continues from; "" for none.
        other: a part of the command line, and its replacement in a run whose results differ.
        replaces: whether it may run where results of an earlier run lie, which it replaces.
    """

    words: tuple[str, ...]
    results: str
    before: str = ""
    other: tuple[str, str] = ("--seed 0", "--seed 7")
    replaces: bool = False


def _program(line: str, results: str, **facts: object) -> Program:
    return Program(words=tuple(line.split()), results=results, **facts)


_SMALL = "--members 2 --precision fp32 --device cpu"
_RUN = "{out}/runs/F-actin/BayesDL-SIM"
_TRAIN = (
    "train.py --root_dir {inputs}/set --save_model_dir {out}/runs --n_feat 8 --levels 2 --nBlocks "
    "1 --patch_size 32 --batch_size 4 --patches_per_stack 2 --val_stacks 1 --precision fp32 "
    "--device cpu --seed 0 --resume --cache_dir {out}/cache"
)
_JUDGED = f"--root_dir {{inputs}}/set --pretrained_G {_RUN} --pixels 200 --seed 0 {_SMALL[12:]}"
_ALL = {
    "test.py, one stack": _program(
        f"test.py --test_data {{inputs}}/stacks/a.tif --save_path {{out}}/one {_SMALL}",
        "one",
        other=("a.tif", "c.tif"),
        replaces=True,
    ),
    "test.py, a folder": _program(
        f"test.py --test_data {{inputs}}/two --save_path {{out}}/many {_SMALL}",
        "many",
        other=("{inputs}/two", "{inputs}/others"),
        replaces=True,
    ),
    "train.py, step 1": _program(f"{_TRAIN} --epoch 6 --cycles 2 --members_per_cycle 1", "runs"),
    "train.py, step 2": _program(
        f"{_TRAIN} --train_type uncertainty_tail --likehood gauss --SGLD False --epoch 3",
        "runs",
        before="train.py, step 1",
    ),
    "calibrate.py": _program(
        f"calibrate.py {_JUDGED} --gate_cells 0",
        "runs",
        before="train.py, step 2",
        replaces=True,
    ),
    "evaluate.py": _program(
        f"evaluate.py {_JUDGED} --save_path {{out}}/report --classical False --max_stacks 1",
        "report",
        before="train.py, step 2",
        replaces=True,
    ),
    "from_simulation": _program(
        "-m DatasetGenerate.from_simulation --sample MT --save_path {out}/set --cells 6 --levels 2 "
        "--size 48 --workers 2 --seed 0",
        "set",
    ),
    "from_image": _program(
        "-m DatasetGenerate.from_image --image {inputs}/targets/a.tif --save_path {out}/image "
        "--seed 0",
        "image",
    ),
    "from_stacks": _program(
        "-m DatasetGenerate.from_stacks --raw {inputs}/stacks/*.tif --target "
        "{inputs}/targets/*.tif --order orientation,phase --save_path {out}/made --workers 2",
        "made",
        other=("--order orientation,phase", "--order orientation,phase --sample other"),
    ),
    "from_biosr": _program(
        "-m DatasetGenerate.from_biosr --data_path {inputs}/biosr --save_path {out}/biosr "
        "--workers 2",
        "biosr",
        other=("{inputs}/biosr", "{inputs}/biosr --bg_cut_prct 20"),
    ),
    "figures.profile": _program(
        "-m figures.profile --result {out}/one --line 20 20 60 90 --raw {inputs}/stacks/a.tif",
        "one",
        before="test.py, one stack",
        other=("--line 20 20", "--line 40 20"),
        replaces=True,
    ),
    "dlbi.simulate": _program(
        "-m dlbi.simulate --save_path {out}/movies --movies 2 --frames 40 --size 20 24 "
        "--fluorophores_per_px 1 --density 0.7 --seed 0",
        "movies",
        replaces=True,
    ),
    "dlbi.train": _program(
        "-m dlbi.train --save_path {out}/dlbi --width 16 --scenes 1 --held_out 1 --batch_size 1 "
        "--crop 16 --steps 4 --cooldown 2 --draws 2 --member_steps 1 --device cpu --precision fp32 "
        "--seed 0 --resume",
        "dlbi",
    ),
    "dlbi.reconstruct": _program(
        "-m dlbi.reconstruct --movie {inputs}/movies/movie_1/movie.tif --save_path {out}/structure "
        "--stage network --members 1 --device cpu --precision fp32",
        "structure",
        other=("movie_1", "movie_2"),
        replaces=True,
    ),
    "dlbi.evaluate": _program(
        "-m dlbi.evaluate --data {inputs}/movies/movie_1 --save_path {out}/scores --stage moments "
        "--device cpu",
        "scores",
        other=("movie_1", "movie_2"),
        replaces=True,
    ),
}
PROGRAMS = {
    name: program for name, program in _ALL.items() if not name.startswith(WING) or wing_is_here()
}


def make_inputs(folder: Path) -> Path:
    """A small data set, stacks, targets, a structure of BioSR and movies; made once, always equal.

    Raises:
        InputError: a simulation failed.
    """
    inputs = folder / "inputs"
    if (inputs / "complete").is_file():
        return inputs
    shutil.rmtree(inputs, ignore_errors=True)
    line = f"-m DatasetGenerate.from_simulation --sample F-actin --save_path {inputs}/set --cells 6"
    _run_or_refuse("the inputs", f"{line} --levels 1 --size 64 --workers 1".split())
    if wing_is_here():
        _run_or_refuse("the inputs", filled(PROGRAMS["dlbi.simulate"].words, inputs, inputs))
    for kind in ("stacks", "two", "others", "targets"):
        (inputs / kind).mkdir()
    for number, name in enumerate(STACKS, start=1):
        stack, target = _cell(inputs / "set", number)
        tifffile.imwrite(inputs / "stacks" / f"{name}.tif", stack)
        if number <= 2:
            tifffile.imwrite(inputs / "two" / f"{name}.tif", stack)
            tifffile.imwrite(inputs / "others" / f"{name}.tif", stack[:, ::-1])
        tifffile.imwrite(inputs / "targets" / f"{name}.tif", target)
        cell = inputs / "biosr" / f"Cell_{number:03d}"
        cell.mkdir(parents=True)
        (cell / "RawSIMData_level_01.mrc").write_bytes(_mrc(stack))
        (cell / "SIM_gt.mrc").write_bytes(_mrc(target[None].astype(np.float32)))
    (inputs / "complete").write_text("", encoding="utf-8")
    return inputs


def _cell(root: Path, number: int) -> tuple[np.ndarray, np.ndarray]:
    """The stack of a cell, and its target."""
    frames = sorted((root / "Raw" / f"cell_{number}" / "level_1").glob("*.tif"))
    target = tifffile.imread(root / "GT" / f"cell_{number}" / "gt.tif")
    return np.stack([tifffile.imread(path) for path in frames]), target


def _mrc(images: np.ndarray) -> bytes:
    """An MRC file as BioSR has them."""
    count, height, width = images.shape
    header = bytearray(1024)
    mode = 6 if images.dtype == np.uint16 else 2
    struct.pack_into("<4i", header, 0, width, height, count, mode)
    struct.pack_into("<3i", header, 28, width, height, count)
    sides = (VOXEL_UM * pixels for pixels in (width, height, count))
    struct.pack_into("<3f", header, 40, *sides)
    return bytes(header) + images.tobytes()


def prepare(name: str, inputs: Path, out: Path, earlier: bool = True) -> list[str]:
    """Makes the folder ready and returns the command.

    The results that the program continues from are made once and kept beside the inputs.

    Args:
        out: emptied first.
        earlier: whether results of an earlier run are there, if the program replaces them.

    Raises:
        InputError: the program before this one failed.
    """
    program = PROGRAMS[name]
    earlier = earlier and program.replaces
    slug = re.sub("[^a-z0-9]+", "-", name) + ("-replaced" if earlier else "")
    prepared = inputs.with_name("before") / slug
    if not prepared.is_dir():
        clear(out)
        if program.before:
            _run_or_refuse(program.before, prepare(program.before, inputs, out, earlier=False))
        if earlier:
            _run_or_refuse(f"{name}, the run before", rival(name, inputs, out))
        shutil.copytree(out, prepared)
    clear(out)
    shutil.copytree(prepared, out, dirs_exist_ok=True)
    return filled(program.words, inputs, out)


def clear(folder: Path) -> None:
    """Empties the folder, made if it is missing; a mount stays mounted."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def filled(words: Sequence[str], inputs: Path, out: Path) -> list[str]:
    """The command line with the two folders in it."""
    return [word.format(inputs=inputs, out=out) for word in words]


def rival(name: str, inputs: Path, out: Path) -> list[str]:
    """The same program on the same folder with another input or seed."""
    program = PROGRAMS[name]
    here, there = program.other
    line = " ".join(program.words)
    changed = line.replace(here, there)
    if changed == line:  # an option that the command line does not name
        changed = f"{line} {there}"
    return filled(changed.split(), inputs, out)


def _run_or_refuse(what: str, words: Sequence[str]) -> None:
    done = run(words)
    if done.returncode:
        raise InputError(f"{what} failed: {done.last_line}")
