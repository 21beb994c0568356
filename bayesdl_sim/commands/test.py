"""The command `test`: its options, and what is done with them."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from bayesdl_sim.bayes.calibration.recalibration import KINDS
from bayesdl_sim.bayes.credibility import DELTA
from bayesdl_sim.data.formats.tiff import read_tiff
from bayesdl_sim.data.inputs import require_inputs
from bayesdl_sim.data.stacks import RawStack, find_stacks, read_stack
from bayesdl_sim.inference.facts import result_lines
from bayesdl_sim.inference.gate import Verdict
from bayesdl_sim.inference.maps import CHANGES, DEFAULT_MAPS, INTERVAL, MISFIT, MapSettings
from bayesdl_sim.inference.posterior import Posterior, shipped_folder
from bayesdl_sim.inference.reconstruction import Reconstruction
from bayesdl_sim.inference.result_files import result_folders
from bayesdl_sim.inference.series import CONVENTIONS
from bayesdl_sim.metrics.images import Quality, quality
from bayesdl_sim.physics.reconstruction.wiener import wide_field_upsampled
from bayesdl_sim.utils.devices import choose_device
from bayesdl_sim.utils.errors import InputError, require_file, writable_folder
from bayesdl_sim.utils.released import NETWORK_OPTIONS, accept_without_effect

__all__ = ["TestSettings", "main", "parse_args"]

@dataclass(frozen=True, kw_only=True)
class TestSettings:
    """What a call of `test` asks for.

    Attributes:
        test_data, save_path: a stack or a folder of stacks, and where its results go.
        target: ground truth of a single stack; None: there is none.
        pixel_size_nm: of the raw frames; None: as the file says.
        folder, members, convention, calibration, device, gpu_id, precision, tile: see
            `Posterior.load`.
        mode, frames: what the members must have been trained on; None: anything.
        maps, numbers: see `Posterior.reconstruct`.
        force: write results that are refused.
    """

    test_data: Path
    save_path: Path
    target: Path | None = None
    pixel_size_nm: float | None = None
    folder: Path = field(default_factory=shipped_folder)
    members: int | None = None
    convention: str = "total_variance"
    calibration: Path | None = None
    device: str = "auto"
    gpu_id: int | None = None
    precision: str = "auto"
    tile: int = 512
    mode: str | None = None
    frames: str | None = None
    maps: tuple[str, ...] = DEFAULT_MAPS
    numbers: MapSettings = MapSettings()
    force: bool = False


def parse_args(argv: Sequence[str] | None = None) -> TestSettings:
    """The command line as settings; the checkpoint knows its network, so no flag describes one."""
    parser = argparse.ArgumentParser(
        description="Reconstructs raw 2D-SIM stacks: super-resolved image, aleatoric and epistemic "
        "uncertainty, and a verdict.",
        allow_abbrev=False,
    )
    _everyday_options(parser.add_argument_group("everyday"))
    _map_options(parser.add_argument_group("further maps (in normalised SR intensity)"))
    _expert_options(parser.add_argument_group("posterior and computer"))
    accept_without_effect(parser, NETWORK_OPTIONS)
    args = parser.parse_args(argv)
    if args.pixel_size_nm is not None and not 0 < args.pixel_size_nm < float("inf"):
        raise InputError(f"pixel_size_nm: expected a positive size, found {args.pixel_size_nm}")
    maps, numbers = DEFAULT_MAPS, {"delta": args.delta, "exceed": args.exceed, "draws": args.draws}
    for name, group in (("interval", INTERVAL), ("changes", CHANGES)):
        if getattr(args, name) is not None:
            maps, numbers = maps + group, numbers | {name: getattr(args, name)}
    if args.misfit:
        maps += MISFIT
    return TestSettings(
        test_data=args.test_data,
        save_path=args.save_path,
        target=args.target,
        pixel_size_nm=args.pixel_size_nm,
        folder=args.pretrained_G or shipped_folder(),
        members=args.members,
        convention=args.convention,
        calibration=args.calibration,
        device=args.device,
        gpu_id=args.gpu_id,
        precision=args.precision,
        tile=args.tile,
        mode=args.SISR_or_SIM,
        frames=args.input_frames,
        maps=maps,
        numbers=MapSettings(**numbers),
        force=args.force,
    )


def _everyday_options(group: Any) -> None:
    add = group.add_argument
    add("--test_data", type=Path, required=True, help="raw stack (TIFF or MRC of 9 or 9 T images), folder of nine frames, or folder of stacks")
    add("--save_path", type=Path, required=True, help="folder of the results")
    add("--pixel_size_nm", type=float, help="pixel size of the raw frames in nm (default: as the file says)")
    add("--pretrained_G", type=Path, help="folder of member_01.pth ..., or of SGLD_gauss_#1.pth ... of the released code (default: the shipped posterior)")
    add("--members", type=int, help="use the first so many members only (default: all)")
    add("--target", type=Path, help="ground truth (TIFF) of one stack, to compare with")
    add("--force", action="store_true", help="write results that the verdict refuses")


def _map_options(group: Any) -> None:
    add = group.add_argument
    add("--interval", type=float, metavar="P", help="write the lower and upper end of each pixel's interval of this probability, e.g. 0.9")
    add("--misfit", action="store_true", help="map where the frames contradict the result, by sending it back through the microscope (some seconds per stack of 502x502)")
    add("--changes", type=float, metavar="LEVEL", help="map the change from one time point to the next, and mark it where it exceeds its credible interval of this level, e.g. 0.95")
    add("--delta", type=float, default=DELTA, help="tolerated error: Credibility.tif is the probability of a smaller one (default %(default)s)")
    add("--exceed", type=float, metavar="T", help="add the probability that the intensity is above T, as a channel")
    add("--draws", type=int, default=0, metavar="N", help="add N images drawn from the predictive distribution, as channels")


def _expert_options(group: Any) -> None:
    add = group.add_argument
    add("--device", default="auto", help="auto, cpu, cuda or cuda:n (default %(default)s)")
    add("--gpu_id", type=int, help="number of the GPU")
    add("--precision", choices=["auto", "fp32", "bf16"], default="auto", help="arithmetic of the networks (default %(default)s: by the processor)")
    add("--tile", type=int, default=512, help="side of the pieces of a large field, in raw pixels (default %(default)s)")
    add("--calibration", type=Path, help="file of the calibration, or none (default: calibration.json beside the members)")
    add("--convention", choices=list(CONVENTIONS), default="total_variance", help="uncertainties by the law of total variance, or with the arithmetic of the released code, to compare with its results (default %(default)s)")
    add("--input_frames", help="check that the network takes these frames, such as 1,2,3")
    add("--SISR_or_SIM", choices=["SISR", "SIM"], help="check that the network takes wide field, or SIM frames")
    add("--sr_scale", type=int, choices=[2], default=2, help="refinement of the grid: always 2")


def main(argv: Sequence[str] | None = None) -> None:
    """Reconstructs all stacks; one that fails does not stop the others."""
    settings = parse_args(argv)
    stacks = find_stacks(settings.test_data)
    if settings.target is not None and len(stacks) > 1:
        raise InputError(
            f"target: is for one stack, but {settings.test_data} holds {len(stacks)}"
        )
    folders = result_folders(stacks, settings.save_path)
    posterior = open_posterior(settings)
    writable_folder(settings.save_path)
    failures = []
    for source, folder in zip(stacks, folders, strict=True):
        try:
            process(source, folder, settings, posterior)
        except (InputError, PermissionError) as error:
            if len(stacks) == 1:
                raise
            print(f"{source}: NOT reconstructed")
            failures.append(str(error))
    if failures:
        raise InputError(
            f"{len(failures)} of {len(stacks)} stacks could not be reconstructed (the results of "
            f"the others are kept): {' | '.join(failures)}"
        )


def open_posterior(settings: TestSettings) -> Posterior:
    """Opens the posterior, and says what it is and what it cannot tell."""
    posterior = Posterior.load(
        settings.folder,
        choose_device(settings.device, settings.gpu_id),
        settings.members,
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


def process(source: Path, folder: Path, settings: TestSettings, posterior: Posterior) -> None:
    """Reads, judges, reconstructs and writes one stack."""
    stack = read_stack(source)
    stack = stack._replace(pixel_size_nm=settings.pixel_size_nm or stack.pixel_size_nm)
    target = None if settings.target is None else read_target(settings.target, stack)
    height, width = stack.raw.shape[-2:]
    if not posterior.is_local and max(height, width) > settings.tile:
        print(
            f"{source}: {height}x{width} px are computed at once, not in tiles of {settings.tile} "
            "px: this network averages over the whole field, and tiles would change its result"
        )
    smaller = f"use a smaller tile (now {settings.tile})" if posterior.is_local else "crop the stack"
    prepared = posterior.prepare(stack)
    _refuse(source, posterior.judge(prepared), settings.force)
    with Bars(stack.name) as progress, out_of_memory_says(
        f"{source}: not enough memory for {height}x{width} px; {smaller} or the device cpu"
    ):
        result = posterior.reconstruct(
            prepared, settings.maps, progress, settings=settings.numbers
        )
    print(f"{source}: verdict: {result.verdict.sentence()}")
    _refuse(source, result.verdict, settings.force)
    scores = {} if target is None else compare(result.sr, stack.raw, target)
    quality_facts = {name: score._asdict() for name, score in scores.items()}
    result.save(folder, {"quality": quality_facts} if scores else None)
    report(stack, result, scores, folder)


def _refuse(source: Path, verdict: Verdict, force: bool) -> None:
    if verdict.decision == "refuse" and not force:
        print(f"{source}: verdict: {verdict.sentence()}")
        raise InputError(
            f"{source}: refused, nothing is written: {'; '.join(verdict.reasons)}; repair the "
            "stack, or use --force to write the result all the same"
        )


class Bars:
    """A progress bar for each kind of work, drawn where somebody watches (a log gets none)."""

    def __init__(self, name: str) -> None:
        self.name, self.what, self.bar = name, None, None

    def __enter__(self) -> Bars:
        return self

    def __exit__(self, *error: object) -> None:
        if self.bar is not None:
            self.bar.close()

    def __call__(self, done: int, total: int, what: str) -> None:
        if what != self.what:
            self.__exit__()
            self.what = what
            self.bar = tqdm(total=total, desc=f"{self.name}: {what}", disable=None)
        self.bar.update(done - self.bar.n)


@contextmanager
def out_of_memory_says(advice: str) -> Iterator[None]:
    """One line with what to do, instead of a traceback."""
    try:
        yield
    except (MemoryError, torch.OutOfMemoryError):
        raise InputError(advice) from None


def read_target(path: Path, stack: RawStack) -> NDArray:
    """Ground truth (T, 2H, 2W) of a stack, in any units.

    Raises:
        InputError: unreadable, or not on the doubled grid of the raw frames.
    """
    target, _ = read_tiff(require_file(path, "ground truth"))
    times, _, height, width = stack.raw.shape
    expected = (times, 2 * height, 2 * width)
    if target.shape != expected:
        raise InputError(
            f"{path} holds {target.shape[0]} image(s) of {target.shape[1]}x{target.shape[2]} px, "
            f"but the ground truth of {stack.source} is expected to be {times} of "
            f"{expected[1]}x{expected[2]} px (twice the raw frames)"
        )
    return target


def compare(sr: NDArray, raw: NDArray, target: NDArray) -> dict[str, Quality]:
    """SR and bicubic wide field against the ground truth, averaged over time points."""
    wide_field = [wide_field_upsampled(torch.from_numpy(frames)).numpy() for frames in raw]
    scores = {}
    for name, images in {"wide field": wide_field, "SR": sr}.items():
        rows = [quality(image, truth) for image, truth in zip(images, target, strict=True)]
        scores[name] = Quality(*np.mean(rows, axis=0).tolist())
    return scores


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
