"""What the command `test` does: reads, judges, reconstructs and writes every stack."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, astuple, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from bayesdl_sim.bayes.calibration.recalibration import KINDS
from bayesdl_sim.commands.many.cluster import Handlers, do_all_on_cluster, require_distributed
from bayesdl_sim.commands.many.identity import Identity
from bayesdl_sim.commands.many.streamed import stream
from bayesdl_sim.commands.many.work import Job, do_all, jobs_of
from bayesdl_sim.commands.testing.options import TestSettings
from bayesdl_sim.data.folders import other_folders
from bayesdl_sim.data.formats.opening import read_images
from bayesdl_sim.data.found_stacks import found_stacks
from bayesdl_sim.data.fringe_order import ordered
from bayesdl_sim.data.inputs import require_inputs
from bayesdl_sim.data.stacks import RawStack, StackEntry
from bayesdl_sim.inference.facts import result_lines
from bayesdl_sim.inference.judging.gate import Verdict
from bayesdl_sim.inference.output.map_kinds import FACTS
from bayesdl_sim.inference.output.names import CHANGEABLE, result_names
from bayesdl_sim.inference.output.result_files import result_folders
from bayesdl_sim.inference.output.zarr_pages import require_zarr
from bayesdl_sim.inference.posterior import Posterior
from bayesdl_sim.inference.reconstruction import Reconstruction
from bayesdl_sim.inference.settings import INTERVAL
from bayesdl_sim.metrics.images import QUALITY_SCORES, Quality, quality
from bayesdl_sim.physics.patterns.measured import MeasuredFrames
from bayesdl_sim.physics.reconstruction.wiener import wide_field_upsampled
from bayesdl_sim.utils.console.progress import Progress
from bayesdl_sim.utils.devices import choose_device
from bayesdl_sim.utils.errors import InputError, out_of_memory_says, printable, require_file
from bayesdl_sim.utils.folders.finished import forget, mark_finished

__all__ = ["process_job", "run"]

Keep = Callable[[], AbstractContextManager[None]]


def run(settings: TestSettings) -> None:
    """Reconstructs all stacks; one that fails does not stop the others."""
    if settings.format == "zarr":
        require_zarr()
    stacks = list(found_stacks(settings.test_data, settings.layout))
    if settings.target is not None and len(stacks) > 1:
        raise InputError(f"target: needs one stack, but {settings.test_data} holds {len(stacks)}")
    sources = [entry.source for entry in stacks]
    folders = result_folders(sources, settings.save_path, [entry.name for entry in stacks])
    for folder in other_folders(settings.test_data, sources):
        if folder.resolve() != settings.save_path.resolve() and not (folder / FACTS).exists():
            print(
                f"{printable(folder)}: not read, since it is no stack: give this folder by itself"
            )
    jobs = jobs_of(stacks, folders, settings)
    if settings.workers is None and settings.scheduler is None:
        do_all(jobs, settings, open_posterior(settings), process_job)
        return
    require_distributed()
    open_posterior(settings)  # its warnings are printed here, once
    do_all_on_cluster(jobs, settings, Handlers(open_posterior, process_job, refuse_frames))


def process_job(
    job: Job, identity: Identity, settings: TestSettings, posterior: Posterior, keep: Keep
) -> None:
    """Processes one stack, whole or as a series, while `keep` holds the folder of its result."""
    source = printable(job.entry.source)
    refuse = partial(refuse_frames, source, settings.force)
    if job.streamed:
        stream(job.entry, job.folder, settings, posterior, identity, refuse, keep)
        return
    with keep():
        forget(job.folder)
        process(job.entry, job.folder, settings, posterior)
        written = {path.name for path in job.folder.iterdir()} & result_names()
        mark_finished(job.folder, identity.digest, written - {*CHANGEABLE})


def refuse_frames(source: str, force: bool, verdict: Verdict) -> None:
    """`InputError` for raw frames that the verdict refuses, unless forced."""
    if verdict.decision == "refuse" and not force:
        print(f"{source}: verdict: {verdict.sentence()}")
        raise InputError(
            f"{source}: refused, nothing is written: {'; '.join(verdict.reasons)}; repair the "
            "stack, or use --force to write the result all the same"
        )


def open_posterior(settings: TestSettings) -> Posterior:
    """Opens the posterior, and prints what it is and what it lacks."""
    posterior = Posterior.load(
        settings.folder,
        choose_device(settings.device, settings.gpu_id),
        settings.members,
        fast=settings.fast,
        precision=settings.precision,
        tile=settings.tile,
        convention=settings.convention,
        calibration=settings.calibration,
    )
    require_inputs(posterior.inputs, settings.mode, settings.frames)
    print(*posterior.notes, sep="\n")
    posterior.require_maps(settings.maps)
    if {*INTERVAL} <= {*settings.maps}:
        level = settings.numbers.interval
        print(f"interval of {level:.0%}: {KINDS[posterior.calibration.bounds(level).kind]}")
    return posterior


def process(entry: StackEntry, folder: Path, settings: TestSettings, posterior: Posterior) -> None:
    """Reads, judges, reconstructs and writes one stack."""
    source = printable(entry.source)
    stack, search = ordered(entry.read(), posterior.device)
    stack = replace(stack, pixel_size_nm=settings.pixel_size_nm or stack.pixel_size_nm)
    optics = settings.microscope.optics(stack.pixel_size_nm, source)
    for note in settings.microscope.notes(stack):
        print(f"{source}: {note}")
    target = None if settings.target is None else read_target(settings.target, stack)
    height, width = stack.raw.shape[-2:]
    if not posterior.is_local and max(height, width) > settings.tile:
        print(
            f"{source}: {height}x{width} px are computed at once, not in tiles of {settings.tile} "
            "px: this network averages over the whole field, and tiles would change its result"
        )
    smaller = (
        f"use a smaller tile (now {settings.tile})" if posterior.is_local else "crop the stack"
    )
    prepared = posterior.prepare(stack, optics, search)
    refuse_frames(source, settings.force, posterior.judge(prepared))
    with (
        Progress(printable(stack.name)) as progress,
        out_of_memory_says(
            f"{source}: not enough memory for {height}x{width} px; {smaller} or the device cpu"
        ),
    ):
        result = posterior.reconstruct(prepared, settings.maps, progress, settings=settings.numbers)
    refuse_frames(source, settings.force, result.verdict)  # of a series, all are known only now
    print(f"{source}: verdict: {result.verdict.sentence()}")
    scores = {} if target is None else compare(result.sr, stack.raw, target)
    quality_facts = {name: asdict(score) for name, score in scores.items()}
    facts = {"quality": quality_facts} if scores else None
    result.save(folder, facts, form=settings.format)
    report(stack, result, scores, folder)


def read_target(path: Path, stack: RawStack) -> NDArray:
    """Ground truth (T, 2H, 2W) of a stack, in any units.

    Raises:
        InputError: unreadable, not on the doubled grid of the raw frames, constant, or not finite.
    """
    target, _ = read_images(require_file(path, "ground truth"))
    times, _, height, width = stack.raw.shape
    expected = (times, 2 * height, 2 * width)
    if target.shape != expected:
        raise InputError(
            f"{path} holds {target.shape[0]} image(s) of {target.shape[1]}x{target.shape[2]} px, "
            f"but the ground truth of {stack.source} is expected to be {times} of "
            f"{expected[1]}x{expected[2]} px (twice the raw frames)"
        )
    if not np.isfinite(target).all():
        raise InputError(
            f"{path} holds values that are not finite (NaN or infinity), but a whole image was "
            "expected as ground truth: crop both, or fill it"
        )
    if np.ptp(target, axis=(1, 2)).min() == 0:
        raise InputError(
            f"{path} is constant (every pixel is {target.flat[0]:g}): check that it is the ground "
            f"truth of {stack.source}"
        )
    return target


def compare(sr: NDArray, raw: NDArray, target: NDArray) -> dict[str, Quality]:
    """SR and bicubic wide field against the ground truth, averaged over time points with a result.

    A truth of another half-pixel convention is moved onto the SR, which is printed, and all images
    are then cut by the pixels that the movement touches.
    """
    kept = [t for t, image in enumerate(sr) if not np.isnan(image).all()]
    sr, raw, target = sr[kept], raw[kept], target[kept]
    filled = (MeasuredFrames(torch.from_numpy(frames)).usable for frames in raw)
    wide_field = [wide_field_upsampled(frames).numpy() for frames in filled]
    target, inner = _aligned(target, sr)
    scores = {}
    for name, images in {"wide field": wide_field, "SR": sr}.items():
        rows = [
            quality(np.where(gap, 0, image)[inner], np.where(gap, 0, truth)[inner])
            for image, truth, gap in zip(images, target, np.isnan(sr), strict=True)
        ]
        means = np.mean([astuple(row) for row in rows], axis=0).tolist()
        scores[name] = Quality(**dict(zip(QUALITY_SCORES, means, strict=True)))
    return scores


def _aligned(target: NDArray, sr: NDArray) -> tuple[NDArray, tuple[slice, slice]]:
    """The truth on the pixels of the SR, and the rows and columns that can be compared."""
    # Loaded only here: without a truth nothing needs them, and they are slow to load.
    from bayesdl_sim.evaluation.alignment import SMALLEST_PX, moved
    from bayesdl_sim.metrics.registration import BORDER_PX, register

    shift_px = register(target[0], sr[0]).shift_px if min(sr.shape[1:]) > 4 * BORDER_PX else (0, 0)
    if np.hypot(*shift_px) < SMALLEST_PX:
        return target, (slice(None), slice(None))
    rows, columns = shift_px
    print(
        f"   ground truth moved by {rows:+.2f} rows and {columns:+.2f} columns onto the SR: its "
        "program has another half-pixel convention"
    )
    inner = slice(BORDER_PX, -BORDER_PX)
    return np.stack([moved(truth, shift_px) for truth in target]), (inner, inner)


def report(
    stack: RawStack, result: Reconstruction, scores: dict[str, Quality], folder: Path
) -> None:
    """A few lines per stack."""
    for number, line in enumerate(result_lines(stack, result)):
        print(f"{'   ' if number else ''}{line}")
    for name, score in scores.items():
        print(
            f"   {name:>10}: PSNR {score.psnr:.2f} dB, SSIM {score.ssim:.3f}, NRMSE "
            f"{score.nrmse:.3f} (legacy {score.psnr_legacy:.2f} dB, {score.ssim_legacy:.3f}, "
            f"{score.nrmse_legacy:.3f})"
        )
    print(f"   results in {folder}")
