"""First guesses of the stacks of a data set, made once and kept beside its copy."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from tqdm import tqdm

from bayesdl_sim.data.inputs import FirstGuess
from bayesdl_sim.data.sets.cache import Cache, CachedStack
from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.files import atomic_path

__all__ = ["guesses_of"]


def guesses_of(cache: Cache, stacks: list[CachedStack], guess: FirstGuess, part: str) -> np.ndarray:
    """Normalised first guesses (stacks, 2H, 2W) float16, memory-mapped, in the order of `stacks`.

    Args:
        stacks: of one part of the data set.
        part: its name, which the file has too.

    Raises:
        InputError: no room for the file.
    """
    path = cache.folder / f"first_guess-{guess.version}-{part}-{len(stacks)}.npy"
    try:
        return np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError):
        pass  # not there, or damaged: made again
    height, width = cache.raw.shape[-2:]
    shape = (len(stacks), 2 * height, 2 * width)

    def one(stack: CachedStack) -> np.ndarray:
        return guess.normalised(cache.raw[stack.raw_row], stack.norm).astype(np.float16)

    try:
        with atomic_path(path) as partial:
            file = np.lib.format.open_memmap(partial, "w+", np.float16, shape)
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                made = tqdm(
                    pool.map(one, stacks), f"first guesses, {part}", len(stacks), unit="stack"
                )
                for row, image in enumerate(made):
                    file[row] = image
            file.flush()
            del file
    except OSError as error:
        raise InputError(
            f"{path} cannot be written ({error.strerror or error}): it takes "
            f"{2 * np.prod(shape) / 1e9:.1f} GB; make room, or set cache_dir to another folder"
        ) from error
    return np.load(path, mmap_mode="r")
