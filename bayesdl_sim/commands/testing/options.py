"""The options of the command `test`, and the settings that they become."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bayesdl_sim.bayes.tolerance import DELTA
from bayesdl_sim.commands.many.options import add_many_options, check_sharing
from bayesdl_sim.commands.many.shards import WHOLE, Shard, parse_shard
from bayesdl_sim.commands.testing.optics import KnownMicroscope, add_optics_options
from bayesdl_sim.data.layouts import FrameLayout
from bayesdl_sim.inference.settings import (
    CHANGES,
    CONVENTION_NAMES,
    DEFAULT_MAPS,
    INTERVAL,
    MISFIT,
    SHARP,
    MapSettings,
)
from bayesdl_sim.models.shipped import shipped_folder
from bayesdl_sim.utils.console.options import CommandLine
from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.released import NETWORK_OPTIONS, accept_without_effect, first_gpu

__all__ = ["TestSettings", "parse_args"]


@dataclass(frozen=True, kw_only=True)
class TestSettings:
    """The settings of a call of `test`.

    Attributes:
        test_data, save_path: a stack or a folder of stacks, and where its results go.
        layout: order of the frames, and which colour, position and plane.
        target: ground truth of a single stack; None: there is none.
        pixel_size_nm: pixel size of the raw frames; None: that of the file.
        microscope: what is known of the lens.
        folder, members, fast, convention, calibration, device, gpu_id, precision, tile: see
            `Posterior.load`.
        mode, frames: what the members must have been trained on; None: anything.
        maps, numbers: see `Posterior.reconstruct`.
        force: write results that are refused.
        threads: number of threads that compute; None: see `console.threads`.
        again: repeat results that exist already.
        stream: auto, always or never: whether a series is worked on time point by time point.
        format: format of the maps: tiff or zarr.
        shard: the part of the work that this call does.
        workers: processes of this computer that share the work; None: this one alone.
        scheduler: address of a scheduler of dask whose workers do the work; None: there is none.
    """

    test_data: Path
    save_path: Path
    layout: FrameLayout = FrameLayout()
    target: Path | None = None
    pixel_size_nm: float | None = None
    microscope: KnownMicroscope = KnownMicroscope()
    folder: Path = field(default_factory=shipped_folder)
    members: int | None = None
    fast: bool = False
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
    threads: int | None = None
    again: bool = False
    stream: str = "auto"
    format: str = "tiff"
    shard: Shard = WHOLE
    workers: int | None = None
    scheduler: str | None = None


def parse_args(argv: Sequence[str] | None = None) -> TestSettings:
    """The command line as settings; the checkpoint describes its network, so no flag does."""
    parser = CommandLine(
        description="Reconstructs raw 2D-SIM stacks: super-resolved image, aleatoric and epistemic "
        "uncertainty, and a verdict.",
        allow_abbrev=False,
    )
    _everyday_options(parser.add_argument_group("everyday"))
    _layout_options(parser.add_argument_group("files that hold more, or in another order"))
    add_optics_options(parser.add_argument_group("what is known of the microscope"))
    _map_options(parser.add_argument_group("further maps (in normalised SR intensity)"))
    add_many_options(parser.add_argument_group("many stacks, long series, several processes"))
    _expert_options(parser.add_argument_group("posterior and computer"))
    accept_without_effect(parser, NETWORK_OPTIONS)
    args = parser.parse_args(argv)
    if args.pixel_size_nm is not None and not 0 < args.pixel_size_nm < float("inf"):
        raise InputError(f"pixel_size_nm: expected a positive size, found {args.pixel_size_nm}")
    check_sharing(args.workers, args.scheduler, args.shard, args.target, args.again)
    maps, numbers = _requested_maps(args)
    return TestSettings(
        test_data=args.test_data,
        save_path=args.save_path,
        layout=FrameLayout(
            order=args.order,
            frames=args.frames,
            mosaic=args.mosaic,
            channel=args.channel,
            position=args.position,
            plane=args.plane,
        ),
        target=args.target,
        pixel_size_nm=args.pixel_size_nm,
        microscope=KnownMicroscope(na=args.na, wavelength_nm=args.wavelength_nm, otf=args.otf),
        folder=args.pretrained_G or shipped_folder(),
        members=args.members,
        fast=args.fast,
        convention=args.convention,
        calibration=args.calibration,
        device=args.device,
        gpu_id=args.gpu_id,
        precision=args.precision,
        tile=args.tile,
        mode=args.SISR_or_SIM,
        frames=args.input_frames,
        maps=maps,
        numbers=numbers,
        force=args.force,
        threads=args.threads,
        again=args.again,
        stream=args.stream,
        format=args.format,
        shard=WHOLE if args.shard is None else parse_shard(args.shard),
        workers=args.workers,
        scheduler=args.scheduler,
    )


def _requested_maps(args: Any) -> tuple[tuple[str, ...], MapSettings]:
    """The maps that a command line requests, and their numbers."""
    maps, numbers = DEFAULT_MAPS, {"delta": args.delta, "exceed": args.exceed, "draws": args.draws}
    numbers["force"] = args.force
    for name, group in (("interval", INTERVAL), ("changes", CHANGES)):
        if getattr(args, name) is not None:
            maps, numbers = maps + group, numbers | {name: getattr(args, name)}
    if args.misfit:
        maps += MISFIT
    if args.apodisation == "sharp":
        maps += SHARP
    return maps, MapSettings(**numbers)


def _everyday_options(group: Any) -> None:
    add = group.add_argument
    add(
        "--test_data",
        type=Path,
        required=True,
        help="raw stack of 9 or 9 T images (TIFF, MRC, DeltaVision, CZI, ND2), folder of nine "
        "frames, or folder of stacks",
    )
    add("--save_path", type=Path, required=True, help="folder of the results")
    add(
        "--pixel_size_nm",
        type=float,
        help="pixel size of the raw frames in nm (default: as the file says)",
    )
    add(
        "--pretrained_G",
        type=Path,
        help="folder of member_01.pth ..., or of SGLD_gauss_#1.pth ... of the released code "
        "(default: the shipped posterior)",
    )
    add("--members", type=int, help="use the first so many members only (default: all)")
    add(
        "--fast",
        action="store_true",
        help="the student of the members, one network instead of all: for previews and laptops",
    )
    add("--target", type=Path, help="ground truth (TIFF or MRC) of one stack, to compare with")
    add("--force", action="store_true", help="write results that the verdict refuses")


def _layout_options(group: Any) -> None:
    add = group.add_argument
    add(
        "--order",
        default=FrameLayout.order,
        help="what changes in the file, slowest first, such as phase,orientation or "
        "orientation,z,phase (default %(default)s)",
    )
    add(
        "--frames",
        metavar="N-M",
        help="images to take, counted from 1, such as 1-9 (default: all)",
    )
    add("--mosaic", metavar="RxC", help="frames that lie side by side in an image, such as 3x3")
    add("--channel", help="colour to take: name, wavelength or number from 1 (default: each)")
    add("--position", type=int, metavar="N", help="position to take, from 1 (default: each)")
    add("--plane", type=int, metavar="N", help="plane to take, from 1 (default: each)")


def _map_options(group: Any) -> None:
    add = group.add_argument
    add(
        "--interval",
        type=float,
        metavar="P",
        help="write the lower and upper end of each pixel's interval of this probability, e.g. 0.9",
    )
    add(
        "--misfit",
        action="store_true",
        help="map where the frames contradict the result, by sending it back through the "
        "microscope (some seconds per stack of 502x502)",
    )
    add(
        "--apodisation",
        choices=["soft", "sharp"],
        default="soft",
        help="sharp: also write Sharp.tif, the SR with the contrast of its finest detail restored "
        "(uncertainties stay those of SR)",
    )
    add(
        "--changes",
        type=float,
        metavar="LEVEL",
        help="map the change from one time point to the next, and mark it where it "
        "exceeds its credible interval of this level, e.g. 0.95",
    )
    add(
        "--delta",
        type=float,
        default=DELTA,
        help="tolerated error as a share of the range of the structure: Credibility.tif is the "
        "probability of a smaller one (default %(default)s)",
    )
    add(
        "--exceed",
        type=float,
        metavar="T",
        help="add the probability that the intensity is above T, as a channel",
    )
    add(
        "--draws",
        type=int,
        default=0,
        metavar="N",
        help="add N images drawn from the predictive distribution, as channels",
    )


def _expert_options(group: Any) -> None:
    add = group.add_argument
    add(
        "--device",
        default="auto",
        help="auto, cpu, cuda or cuda:n, where members, first guess and verdict are computed "
        "(default %(default)s)",
    )
    add("--gpu_id", type=first_gpu, help="number of the GPU")
    add("--threads", type=int, help="threads of the CPU (default: the cores that may be used)")
    add(
        "--precision",
        choices=["auto", "fp32", "bf16"],
        default="auto",
        help="arithmetic of the networks (default %(default)s: by the processor)",
    )
    add(
        "--tile",
        type=int,
        default=512,
        help="side of the pieces of a large field, in raw pixels (default %(default)s)",
    )
    add(
        "--calibration",
        type=Path,
        help="file of the calibration, or none (default: calibration.json beside the members)",
    )
    add(
        "--convention",
        choices=list(CONVENTION_NAMES),
        default="total_variance",
        help="uncertainties by the law of total variance, or with the arithmetic of the released "
        "code, to compare with its results (default %(default)s)",
    )
    add("--input_frames", help="check that the network takes these frames, such as 1,2,3")
    add(
        "--SISR_or_SIM",
        choices=["SISR", "SIM"],
        help="check that the network takes wide field, or SIM frames",
    )
    add("--sr_scale", type=int, choices=[2], default=2, help="refinement of the grid: always 2")
