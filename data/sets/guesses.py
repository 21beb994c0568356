"""First guesses of the stacks of a data set, made once and kept beside its copy."""

import hashlib
import math
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from bayesdl_sim.data.inputs import FirstGuess
from bayesdl_sim.data.sets.cache import Cache, CachedStack, stored_array
from bayesdl_sim.data.sets.known_optics import KnownOptics
from bayesdl_sim.data.sets.room import ADVICE, in_bytes, require_room
from bayesdl_sim.physics.optics import Optics
from bayesdl_sim.utils.console.progress import counted
from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.files import atomic_path

__all__ = ["guesses_of", "stored_guesses"]


def guesses_of(
    cache: Cache,
    stacks: list[CachedStack],
    guess: FirstGuess,
    part: str,
    known_optics: KnownOptics | None = None,
) -> np.ndarray:
    """Normalised first guesses (stacks, 2H, 2W) float16, memory-mapped, in the order of `stacks`.

    Args:
        stacks: stacks of one part of the data set.
        part: its name, which the file has too.
        known_optics: optics that the guess of each stack is given; None for none.

    Raises:
        InputError: no room for the file.
    """
    optics = [known_optics and known_optics(stack.cell, stack.level) for stack in stacks]
    entries = [stack.raw_row for stack in stacks]
    rows = repr(entries if known_optics is None else (entries, optics)).encode()
    kind = "first_guess" if known_optics is None else "informed_guess"
    name = f"{kind}-{guess.version}-{part}-{hashlib.sha256(rows).hexdigest()[:8]}.npy"
    path = cache.folder / name
    height, width = cache.raw.shape[-2:]
    shape = (len(stacks), 2 * height, 2 * width)
    if (kept := stored_guesses(path, shape)) is not None:
        return kept

    def one(stack: CachedStack, known_here: Optics | None) -> np.ndarray:
        known = {} if known_here is None else {"optics": known_here}
        return guess.normalised(cache.raw[stack.raw_row], stack.norm, **known).astype("<f2")

    size = 2 * math.prod(shape)
    require_room(path.parent, size, "the file of first guesses")
    # Plain writes instead of a writable map: a full disk is then an error, not a crash.
    try:
        with atomic_path(path) as partial, partial.open("wb") as file:
            header = {"descr": "<f2", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                guesses = pool.map(one, stacks, optics)
                for image in counted(guesses, f"first guesses, {part}", len(stacks), unit="stack"):
                    file.write(image.tobytes())
    except OSError as error:
        raise InputError(
            f"{path} cannot be written ({error.strerror or error}): it takes {in_bytes(size)}; "
            f"{ADVICE}"
        ) from error
    return np.load(path, mmap_mode="r")


def stored_guesses(path: Path, shape: tuple[int, ...]) -> np.ndarray | None:
    """The guesses of an earlier run; None where there are none or they are damaged."""
    guesses = stored_array(path)
    fits = guesses is not None and guesses.shape == shape and guesses.dtype == np.float16
    return guesses if fits else None
