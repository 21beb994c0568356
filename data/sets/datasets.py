"""Training patches and whole stacks of one part of a data set."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from bayesdl_sim.data.inputs import NINE_FRAMES, FirstGuess, InputSpec, network_input
from bayesdl_sim.data.layouts import FRAMES
from bayesdl_sim.data.normalise import Normalisation
from bayesdl_sim.data.sets.cache import open_cache
from bayesdl_sim.data.sets.guesses import guesses_of
from bayesdl_sim.data.sets.known_optics import KnownOptics
from bayesdl_sim.data.sets.layout import PARTS, SCALE, DatasetSpec, DatasetTree
from bayesdl_sim.data.sets.patches import crop_pair, draw_symmetry
from bayesdl_sim.utils.errors import InputError

__all__ = ["Patches", "SimDataset", "Stack"]


class Patches(NamedTuple):
    """A batch of aligned crops, both normalised.

    `raw`: float32 (B, F, P, P), the nine frames and what else the network is shown (`InputSpec`).
    `target`: float32 (B, 1, 2P, 2P).
    """

    raw: torch.Tensor
    target: torch.Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class Stack:
    """One whole field, normalised; `norm` leads back to counts.

    `raw`: float32 (F, H, W), as in `Patches`. `target`: float32 (1, 2H, 2W).
    """

    raw: torch.Tensor
    target: torch.Tensor
    cell: int
    level: int
    norm: Normalisation


class SimDataset:
    """The stacks of one part: `len` of them, whole by `stack`, as training patches by `batches`.

    Args:
        root: folder of the data set.
        part: "train", "validation" or "test"; the three share no cell.
        cells: cell numbers to use instead of the part's own.
        cache_dir: folder of the memory-mapped copy; default `.cache` inside `root`.
        inputs: what the network is shown.
        first_guess: how its first guess is made; only an input without one goes without it.
        tell_optics: whether the first guess is given the optics of some stacks (`KnownOptics`).

    Raises:
        InputError: unknown part or cell, or whatever is wrong with the tree (see `open_cache`).
    """

    def __init__(
        self,
        root: str | Path,
        part: str,
        cells: list[int] | None = None,
        cache_dir: str | Path | None = None,
        inputs: InputSpec = NINE_FRAMES,
        first_guess: FirstGuess | None = None,
        tell_optics: bool = False,
    ):
        if part not in PARTS:
            raise InputError(f"part {part!r} is none of {', '.join(PARTS)}")
        tree = DatasetTree(root)
        self.spec = tree.spec
        _require_linear(self.spec, tree)
        self.part = part
        self.cells = sorted(self.spec.splits[part] if cells is None else cells)
        self._cache = open_cache(tree, cache_dir)
        known = {stack.cell for stack in self._cache.stacks}
        unknown = [cell for cell in self.cells if cell not in known]
        if unknown or not self.cells:
            what = f"cell {unknown[0]} is not" if unknown else f"no cell of part {part} is"
            raise InputError(f"{what} in {tree.root}, which holds {len(known)} cells")
        self._stacks = [stack for stack in self._cache.stacks if stack.cell in set(self.cells)]
        self.inputs, self._guesses = inputs, None
        if inputs.first_guess:
            known = KnownOptics(self.spec) if tell_optics else None
            self._guesses = guesses_of(self._cache, self._stacks, first_guess, part, known)

    def __len__(self) -> int:
        """Number of stacks, i.e. (cell, level) pairs."""
        return len(self._stacks)

    @property
    def size(self) -> tuple[int, int]:
        """Raw frame size (H, W) in pixels."""
        return self._cache.raw.shape[-2:]

    @property
    def pixels(self) -> int:
        """Number of target pixels over all stacks: the `num_data` of the sampler."""
        return len(self) * 4 * self.size[0] * self.size[1]

    @property
    def sha256(self) -> str:
        """SHA-256 of the whole set: its images, and what `dataset.json` states about them.

        It depends neither on the place and name of the set nor on the times of its files, and the
        other parts of the same set have the same.
        """
        facts = {**asdict(self.spec), "sample": None}  # of a set without the file, its folder
        text = self._cache.sha256 + json.dumps(facts, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def stack(self, index: int) -> Stack:
        """The whole field of one stack."""
        entry = self._stacks[index]
        counts = self._cache.raw[entry.raw_row]
        guess = None if self._guesses is None else self._guesses[index]
        raw = network_input(entry.norm.apply(counts), guess, self.inputs)
        target = entry.target_norm.apply(self._cache.target[entry.target_row])[None]
        return Stack(
            raw=torch.from_numpy(raw),
            target=torch.from_numpy(target),
            cell=entry.cell,
            level=entry.level,
            norm=entry.norm,
        )

    @property
    def is_turned(self) -> bool:
        """Whether its patches are shown in all poses: legal where the microscope is random."""
        return self.spec.microscope == "random"

    def steps(self, batch_size: int, patches_per_stack: int = 1) -> int:
        """Number of batches of one epoch."""
        return max(1, len(self) * patches_per_stack // batch_size)

    def batches(
        self,
        epoch: int,
        seed: int,
        batch_size: int,
        patch_size: int,
        patches_per_stack: int = 1,
        augment: bool | None = None,
        share: tuple[int, int] = (0, 1),
    ) -> Iterator[Patches]:
        """One epoch of random crops; (seed, epoch) determine it entirely.

        Every stack is visited `patches_per_stack` times in a shuffled order. A short last batch
        is left out, unless it is the only one.

        Args:
            epoch, seed: not negative.
            batch_size: patches per batch.
            patch_size: P in raw pixels.
            patches_per_stack: crops per stack and epoch.
            augment: flips, turns and orders of the frames; default where the microscope is random.
            share: (n, N): every N-th patch of each batch, from the n-th, for one of N processes.

        Raises:
            InputError: the patch is larger than the field, a number below 1, or a batch that N
                processes cannot share alike.
        """
        if min(batch_size, patch_size, patches_per_stack) < 1:
            raise InputError(
                f"batches of {batch_size} patches of {patch_size} px, {patches_per_stack} per "
                "stack: each number must be at least 1"
            )
        if patch_size > min(self.size):
            raise InputError(
                f"a patch of {patch_size} px does not fit into the field of "
                f"{self.size[0]}x{self.size[1]} px: choose a smaller patch"
            )
        augment = self.is_turned if augment is None else augment
        rng = np.random.default_rng([seed, epoch])
        order = rng.permutation(np.repeat(np.arange(len(self)), patches_per_stack))
        starts = range(0, self.steps(batch_size, patches_per_stack) * batch_size, batch_size)
        chunks = (order[start : start + batch_size] for start in starts)
        # A generator expression, so that the checks above run at the call, not at the first batch.
        if min(batch_size, len(order)) % share[1]:
            raise InputError(
                f"{self.part}: a batch of {min(batch_size, len(order))} patches cannot be shared "
                f"by {share[1]} processes equally: use fewer of them, or patches_per_stack"
            )
        return (self._gather(chunk, patch_size, augment, rng, share) for chunk in chunks)

    def _gather(
        self,
        indices: np.ndarray,
        size: int,
        augment: bool,
        rng: np.random.Generator,
        share: tuple[int, int],
    ) -> Patches:
        first, step = share
        count = len(range(first, len(indices), step))
        raw = np.empty((count, self.inputs.channels, size, size), np.float32)
        target = np.empty((count, 1, 2 * size, 2 * size), np.float32)
        for number, index in enumerate(indices):
            entry = self._stacks[index]
            top = int(rng.integers(self.size[0] - size + 1))
            left = int(rng.integers(self.size[1] - size + 1))
            # Drawn for every patch: all processes follow one stream of chance.
            symmetry = draw_symmetry(rng) if augment else None
            if number % step != first:
                continue
            slot = number // step
            whole = self._cache.raw[entry.raw_row], self._cache.target[entry.target_row]
            frames, image = crop_pair(*whole, top, left, size)
            guess = None
            if self._guesses is not None:
                _, guess = crop_pair(whole[0], self._guesses[index], top, left, size)
            if symmetry is not None:
                frames, image = symmetry.pose(frames[symmetry.order]), symmetry.pose(image)
                guess = None if guess is None else symmetry.pose(guess)
            raw[slot] = network_input(entry.norm.apply(frames), guess, self.inputs)
            target[slot, 0] = entry.target_norm.apply(image)
        return Patches(torch.from_numpy(raw), torch.from_numpy(target))


def _require_linear(spec: DatasetSpec, tree: DatasetTree) -> None:
    """Refuses a set of other than nine frames before its first nine are taken for a stack."""
    if (spec.frames, spec.scale) != (FRAMES, SCALE):
        raise InputError(
            f"{tree.spec_path}: the set has {spec.frames} raw frames per stack and targets of "
            f"{spec.scale} times their size, but networks here take {FRAMES} frames (3 "
            f"orientations x 3 phases) and {SCALE} times: choose another set"
        )
