"""The training set: random scenes as features and truth, one file each, made once."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from bayesdl_sim.dlbi.blinking import FINE
from bayesdl_sim.dlbi.moments.calibration import calibrate
from bayesdl_sim.dlbi.moments.deconvolution import density_of
from bayesdl_sim.dlbi.moments.statistics import moments_of
from bayesdl_sim.dlbi.movies.checks import check_moments
from bayesdl_sim.dlbi.movies.reading import Movie
from bayesdl_sim.dlbi.movies.survey import survey
from bayesdl_sim.dlbi.network.features import (
    Features,
    chosen_frames,
    crop_features,
    features_of,
    turned,
)
from bayesdl_sim.dlbi.simulation.scenes import PER_PIXEL, random_scene
from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.files import atomic_path
from bayesdl_sim.utils.pieces.poses import turn

__all__ = [
    "Sample",
    "batches",
    "list_samples",
    "load_sample",
    "make_sample",
    "sample_path",
    "write_sample",
]

HALF_RANGE = 6.5e4  # the range of half precision; one infinity would spoil a whole training
LARGEST_COUNT = 2**16 - 1  # fluorophores in a fine pixel, as a scene is stored
HELD_OUT = 1  # last word of the seed of a held-out scene; scenes of a training have none
REASON_LENGTH = 200  # characters of NumPy's own message
FRAMES_TRAINED = 32  # frames of a crop that the encoder is given in a step of training


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Features of a movie and its truth.

    Args:
        features: a batch of one.
        fluorophores: (1, 8H, 8W) number of fluorophores in each fine pixel.
        brightness: (1,) mean electrons per frame of one fluorophore, in units of the scale.
    """

    features: Features
    fluorophores: Tensor
    brightness: Tensor


def make_sample(
    seed: int,
    number: int,
    size: int,
    per_pixel: tuple[float, float] = PER_PIXEL,
    held_out: bool = False,
) -> Sample:
    """Draws a scene of `size` x `size` camera pixels and runs stage 2 on it.

    A scene that the command would refuse (as saturated or without blinking) is drawn again.

    Args:
        per_pixel: least and most expected fluorophores per camera pixel.
        held_out: a scene that no training has, whatever its seed.
    """
    for attempt in range(100):
        words = [seed, number, attempt, *[HELD_OUT] * held_out]
        entropy = np.random.SeedSequence(words).generate_state(1, np.uint64)[0]
        generator = torch.Generator().manual_seed(int(entropy >> np.uint64(1)))
        scene = random_scene((size, size), generator, per_pixel=per_pixel)
        counts = scene.movie.counts
        moments = moments_of(counts)
        try:
            check_moments(moments, survey(Movie.of(counts)))
            calibration = calibrate(moments)
            density = density_of(moments, calibration)
        except InputError:
            continue
        chosen = counts[chosen_frames(len(counts))]
        features = features_of(moments, calibration, density, chosen)
        return Sample(
            features=features,
            fluorophores=scene.movie.fluorophores[None],
            brightness=torch.tensor([scene.brightness_e]) / features.scale,
        )
    raise RuntimeError(f"no usable scene for seed {seed}, number {number}")


def sample_path(folder: Path, seed: int, number: int, held_out: bool = False) -> Path:
    """File of one scene."""
    return folder / f"scene_{'held_out_' * held_out}{seed}_{number:05d}.npz"


def write_sample(
    folder: Path,
    seed: int,
    number: int,
    size: int,
    per_pixel: tuple[float, float] = PER_PIXEL,
    held_out: bool = False,
) -> Path:
    """Makes and writes one scene, unless its file is there already; arguments of `make_sample`."""
    path = sample_path(folder, seed, number, held_out)
    if not path.is_file():
        sample = make_sample(seed, number, size, per_pixel, held_out)
        most = float(sample.fluorophores.max())
        if most > LARGEST_COUNT:
            raise RuntimeError(f"{path}: {most:.0f} fluorophores in a pixel cannot be stored")
        arrays = {
            field.name: getattr(sample.features, field.name).numpy() for field in fields(Features)
        }
        for name in ("padded", "camera", "frames"):
            arrays[name] = np.clip(arrays[name], -HALF_RANGE, HALF_RANGE).astype(np.float16)
        with atomic_path(path) as partial:
            np.savez(
                partial,
                fluorophores=sample.fluorophores.numpy().astype(np.uint16),
                brightness=sample.brightness.numpy(),
                **arrays,
            )
    return path


def list_samples(folder: Path) -> list[Path]:
    """All scenes of a folder, in the order of their names."""
    return sorted(folder.glob("scene_*.npz"))


def load_sample(path: Path) -> Sample:
    """Reads a scene back.

    Raises:
        InputError: damaged, or no scene.
    """
    try:
        _require_whole(path)
        with np.load(path) as stored:
            arrays = {name: torch.from_numpy(stored[name]).float() for name in stored.files}
        fluorophores, brightness = arrays.pop("fluorophores"), arrays.pop("brightness")
        return Sample(features=Features(**arrays), fluorophores=fluorophores, brightness=brightness)
    except MemoryError:
        raise
    except Exception as error:  # a broken archive fails in as many ways as it has entries
        reason = " ".join(str(error).split())[:REASON_LENGTH]
        raise InputError(
            f"{path} is damaged or no scene of this version ({reason}); delete it: python -m "
            "dlbi.train makes it again"
        ) from None


def _require_whole(path: Path) -> None:
    """Refuses arrays that declare more numbers than their file holds, before allocating memory."""
    size = path.stat().st_size
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            with archive.open(entry) as file:
                np.lib.format.read_magic(file)
                shape, _, dtype = np.lib.format.read_array_header_1_0(file)
            if entry.file_size > size or math.prod(shape) * dtype.itemsize > size:
                raise ValueError("it claims more numbers than the file holds")


def batches(
    samples: list[Sample], batch: int, size: int, generator: torch.Generator
) -> Iterator[Sample]:
    """One epoch of random crops of `size` camera pixels, turned and flipped at random."""
    order = torch.randperm(len(samples), generator=generator).tolist()
    for start in range(0, len(order) - batch + 1, batch):
        crops = [
            _random_crop(samples[index], size, generator) for index in order[start : start + batch]
        ]
        features = {
            field.name: torch.cat([getattr(crop.features, field.name) for crop in crops])
            for field in fields(Features)
            if field.name != "frames"
        }
        # Movies differ in length: the frames that the encoder pools are repeated up to the longest.
        longest = max(crop.features.frames.shape[1] for crop in crops)
        longest = min(longest, FRAMES_TRAINED)
        frames = [_repeated(crop.features.frames, longest, generator) for crop in crops]
        yield Sample(
            features=Features(frames=torch.cat(frames), **features),
            fluorophores=torch.cat([crop.fluorophores for crop in crops]),
            brightness=torch.cat([crop.brightness for crop in crops]),
        )


def _repeated(frames: Tensor, count: int, generator: torch.Generator) -> Tensor:
    order = torch.randperm(frames.shape[1], generator=generator)
    return frames[:, order[torch.arange(count) % frames.shape[1]]]


def _random_crop(sample: Sample, size: int, generator: torch.Generator) -> Sample:
    height, width = sample.features.mean.shape[-2:]
    top = int(torch.randint(0, height - size + 1, (), generator=generator))
    left = int(torch.randint(0, width - size + 1, (), generator=generator))
    number = int(torch.randint(0, 8, (), generator=generator))
    cropped = crop_features(sample.features, top, left, size, size)
    rows, columns = (slice(FINE * first, FINE * (first + size)) for first in (top, left))
    fine = sample.fluorophores[..., rows, columns]
    return Sample(
        features=turned(cropped, number),
        fluorophores=turn(fine, number),
        brightness=sample.brightness,
    )
