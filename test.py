"""Reconstructs raw 2D-SIM stacks: super-resolved image, aleatoric and epistemic uncertainty.

    # One stack: a TIFF or MRC file of 9 images (9 T: a time series), or a folder of nine frames
    python test.py --test_data data/F-actin/raw.tif --save_path results/F-actin

    # A folder of stacks, with the members of your own training
    python test.py --test_data my_stacks --pretrained_G checkpoint/F-actin/BayesDL-SIM \
        --save_path results/mine

    # The checkpoints of the released code (SGLD_gauss_#1.pth ...), with its own arithmetic
    python test.py --test_data data/F-actin/raw.tif --pretrained_G released/F-actin \
        --convention released --save_path results/released

    # With the bounds of the 90 % interval of every pixel
    python test.py --test_data data/F-actin/raw.tif --interval 0.9 --save_path results/F-actin

    # Where is it brighter than 0.3 for sure, and three images that the data allow as well
    python test.py --test_data data/F-actin/raw.tif --exceed 0.3 --draws 3 \
        --save_path results/F-actin

    # Where does the result say more, or less, than its nine frames do
    python test.py --test_data data/F-actin/raw.tif --misfit --save_path results/F-actin

    # Of a time series: what has changed from one time point to the next, for sure (95 %)
    python test.py --test_data movie.tif --changes 0.95 --save_path results/movie

    # Against a known ground truth
    python test.py --test_data data/F-actin/raw.tif --target data/F-actin/gt.tif \
        --save_path results/F-actin

Written to --save_path (of several stacks: to a subfolder each):

    SR.tif              uint16: normalised SR intensity in [0, 1], times 65535
    Aleatoric.tif       float32: standard deviation of the data, in normalised SR intensity
    Epistemic.tif       float32: standard deviation between the members, same units
    Credibility.tif     float32: probability that the error is below --delta
    Lower.tif           with --interval, and Upper.tif: float32, ends of the interval of each pixel
    Invented.tif        with --misfit: float32, by how many standard deviations the SR is brighter
                        than the frames say, locally; negative: light that it lacks; raw pixels
    Misfit.tif          with --misfit: float32, local chi^2 of the frames re-simulated from the SR;
                        1 where it explains them; raw pixels
    Change.tif          with --changes: float32, to the next time point, normalised SR intensity
    Changed.tif         with --changes: float32, -1 or 1 where it is beyond its interval, else 0
    Channels.ome.tif    float32: SR and its maps, their total, and what --exceed and --draws ask for
    *.png               each with colour bar and scale bar; Overview.png beside wide field;
                        Informed.png: brightness is the SR, colour is the credibility
    prediction.json     what was made from what: members, scales, versions; written last

One affine scale turns counts into normalised SR intensity, for all time points of a stack together:
0 and 1 are the smallest and the largest value of the posterior mean. Both are in prediction.json.
Uncertainties are calibrated where a calibration.json of these very members lies beside them.

Every stack gets a verdict, accept, warn or refuse, with its reason: faults of the raw frames are
named, and where the members have a gate.json, the result is compared with validation cells. Of a
refused stack nothing is written, unless `--force`.

With `--convention released`, 0 and 1 are instead the smallest and the largest raw count of each
time point, and statistics and rounding are those of the released code (see bayes/released.py).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from bayesdl_sim.bayes.calibration.recalibration import (
    KINDS,
    Bounds,
    Calibration,
    find_calibration,
)
from bayesdl_sim.bayes.change import marked, predict_series
from bayesdl_sim.bayes.credibility import DELTA, trust_maps
from bayesdl_sim.bayes.prediction import Prediction, predict
from bayesdl_sim.bayes.released import predict_released
from bayesdl_sim.data.formats.tiff import read_tiff
from bayesdl_sim.data.inputs import FirstGuess, InputSpec, input_spec, require_inputs, stack_input
from bayesdl_sim.data.normalise import Normalisation, min_max_of, normalisation_of
from bayesdl_sim.data.stacks import RawStack, find_stacks, read_stack
from bayesdl_sim.inference.gate import (
    SMALLEST_FIELD,
    Gate,
    Verdict,
    findings,
    judge,
    read_gate,
    stack_scores,
)
from bayesdl_sim.inference.result_files import file_names, write_results
from bayesdl_sim.metrics.images import Quality, quality
from bayesdl_sim.models.members import MemberFacts, describe_members, hashes_of, member_functions
from bayesdl_sim.physics.reconstruction.first_guess import FIRST_GUESS_VERSION, first_guess
from bayesdl_sim.physics.reconstruction.resimulation import examine, resimulate_field
from bayesdl_sim.physics.reconstruction.wiener import wide_field_upsampled
from bayesdl_sim.utils.devices import choose_device, choose_precision
from bayesdl_sim.utils.errors import InputError, require_file, run_script, writable_folder
from bayesdl_sim.utils.released import NETWORK_OPTIONS, accept_without_effect
from bayesdl_sim.utils.run_log import provenance

CONVENTIONS = {"total_variance": predict, "released": predict_released}
FIRST_GUESS = FirstGuess(first_guess, FIRST_GUESS_VERSION)
SMALLEST_TILE = 32  # raw pixels; the halo around a smaller one would be most of the work
WIDTHS = ("Aleatoric", "Epistemic", "Total")  # channels that tell an uncertainty
INTERVAL = ("Lower", "Upper")
CONTRADICTED = 5.0  # standard deviations of Invented
DRAW_SEED = 0  # the same maps give the same draws
JUDGED_TIMES = 4  # time points of a series that the gate looks at, evenly spread


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line; the checkpoint knows its network, so no flag describes one."""
    parser = argparse.ArgumentParser(
        description="Reconstructs raw 2D-SIM stacks with a BayesDL posterior.", allow_abbrev=False
    )
    data = parser.add_argument_group("data")
    data.add_argument(
        "--test_data", type=Path, required=True,
        help="raw stack (TIFF or MRC of 9 or 9 T images), folder of nine frames, or folder of "
        "stacks",
    )  # fmt: skip
    data.add_argument(
        "--pixel_size_nm", type=float,
        help="of the raw frames, in nm (default: as the file says)",
    )  # fmt: skip
    data.add_argument("--target", type=Path, help="ground truth (TIFF) of one stack, to compare")
    data.add_argument("--save_path", type=Path, required=True, help="folder of the results")

    posterior = parser.add_argument_group("posterior")
    posterior.add_argument(
        "--pretrained_G", type=Path, default=Path("checkpoint/F-actin/pretrained_G"),
        help="folder of member_01.pth ..., or of SGLD_gauss_#1.pth ... of the released code "
        "(default: the shipped posterior, %(default)s)",
    )  # fmt: skip
    posterior.add_argument("--members", type=int, help="the first so many only (default: all)")
    posterior.add_argument("--input_frames", help="checked: the frames that the network takes")
    posterior.add_argument("--SISR_or_SIM", choices=["SISR", "SIM"], help="checked likewise")
    posterior.add_argument("--sr_scale", type=int, choices=[2], default=2)
    posterior.add_argument(
        "--convention", choices=list(CONVENTIONS), default="total_variance",
        help="uncertainties by the law of total variance, or with the arithmetic of the released "
        "code, to compare with its results (default %(default)s)",
    )  # fmt: skip
    posterior.add_argument(
        "--calibration", type=Path,
        help="file of the calibration, or none (default: calibration.json beside the members)",
    )  # fmt: skip
    posterior.add_argument(
        "--interval", type=float,
        help="probability, e.g. 0.9: also write the lower and upper end of each pixel's interval",
    )  # fmt: skip

    trust = parser.add_argument_group("trust, in normalised SR intensity")
    trust.add_argument(
        "--delta", type=float, default=DELTA,
        help="Credibility.tif is the probability of an error below it (default %(default)s)",
    )  # fmt: skip
    trust.add_argument(
        "--exceed", type=float, metavar="T",
        help="adds the probability that the intensity is above T, as a channel",
    )  # fmt: skip
    trust.add_argument(
        "--draws", type=int, default=0, metavar="N",
        help="adds N images drawn from the predictive distribution, as channels",
    )  # fmt: skip

    trust.add_argument(
        "--misfit", action="store_true",
        help="sends the whole SR back through the microscope and maps where the frames contradict "
        "it (some seconds per stack of 502x502)",
    )  # fmt: skip

    trust.add_argument(
        "--changes", type=float, metavar="LEVEL",
        help="of a time series: maps the change to the next time point, and marks it where it "
        "exceeds its credible interval of this level, e.g. 0.95 (twice the time)",
    )  # fmt: skip

    run = parser.add_argument_group("run")
    run.add_argument("--force", action="store_true", help="write results that the gate refuses")
    run.add_argument("--tile", type=int, default=512, help="raw pixels (default %(default)s)")
    run.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:n")
    run.add_argument("--gpu_id", type=int, help="number of the GPU")
    run.add_argument("--precision", choices=["auto", "fp32", "bf16"], default="auto")
    accept_without_effect(parser, NETWORK_OPTIONS)
    args = parser.parse_args(argv)
    if args.tile < SMALLEST_TILE:
        raise InputError(f"--tile: expected {SMALLEST_TILE} raw pixels or more, found {args.tile}")
    if not 0 < args.delta < float("inf") or args.draws < 0:
        raise InputError(
            f"--delta must be positive and --draws not negative, found {args.delta} and "
            f"{args.draws}"
        )
    if args.pixel_size_nm is not None and not 0 < args.pixel_size_nm < float("inf"):
        raise InputError(f"--pixel_size_nm: expected a positive size, found {args.pixel_size_nm}")
    for name in ("interval", "changes"):
        level = getattr(args, name)
        if level is not None and not 0.5 <= level <= 0.99:
            raise InputError(f"--{name}: expected a level of 0.5 to 0.99, found {level}")
    if args.changes is not None and args.convention == "released":
        raise InputError("--changes belongs to --convention total_variance: leave one of them out")
    return args


class Run(NamedTuple):
    """What all stacks of a call share."""

    functions: list[Callable]
    inputs: InputSpec
    members: list[MemberFacts]
    facts: dict[str, Any]
    convention: str
    calibration: Calibration
    bounds: Bounds | None
    gate: Gate | None

    @property
    def min_max(self) -> bool:
        """Whether the network gets its frames scaled as in the released code."""
        return self.convention == "released" or trained_with_min_max(self.members)


class Reconstruction(NamedTuple):
    """One stack in normalised SR intensity.

    Attributes:
        maps: SR, and Aleatoric, Epistemic, Total where they are known; each (T, 2H, 2W).
        raw_scales: how each time point was normalised for the network.
        scale: normalised SR intensity in counts of the raw frames (released convention: of the
            first time point; each has that of its raw frames).
        factors: what the calibration multiplied the deviations of each time point by.
        seconds: of the prediction.
        released: whether the convention is the released one.
        further: maps that were asked for: Lower and Upper (T, 2H, 2W), Invented and Misfit
            (T, H, W), Change and Changed (T - 1, 2H, 2W).
    """

    maps: dict[str, NDArray[np.float32]]
    raw_scales: list[Normalisation]
    scale: Normalisation
    factors: list[float]
    seconds: float
    released: bool = False
    further: dict[str, NDArray[np.float32]] = {}

    def with_further(self, maps: dict[str, NDArray[np.float32]]) -> Reconstruction:
        """The same with more maps that are files only."""
        return self._replace(further=self.further | maps)


# ---------------------------------------------------------------------------------------------
# Set-up
# ---------------------------------------------------------------------------------------------


def open_run(args: argparse.Namespace) -> Run:
    """Checks the members, chooses the device, and says both."""
    device = choose_device(args.device, args.gpu_id)
    exact = args.convention == "released" and args.precision == "auto"
    dtype = choose_precision("fp32" if exact else args.precision, device)
    members = describe_members(args.pretrained_G, args.members)
    inputs = input_spec(members[0].network)
    require_inputs(inputs, args.SISR_or_SIM, args.input_frames)
    functions = member_functions(args.pretrained_G, device, dtype, args.tile, args.members)
    precision = "bf16" if dtype == torch.bfloat16 else "fp32"
    facts = {
        "checkpoint": {
            "folder": str(args.pretrained_G),
            "network": members[0].network,
            "members": [
                {"file": m.path.name, "sha256": m.sha256, "sampler": m.sampler,
                 "training": m.training}
                for m in members
            ],
        },
        "run": {
            "device": str(device),
            "precision": precision,
            "tile": args.tile if members[0].is_local else None,
        },
        "convention": args.convention,
        "provenance": provenance(),
    }  # fmt: skip
    print(f"posterior: {posterior_in_words(members)} of {args.pretrained_G}; {device}, {precision}")
    warn(members, args.convention)
    asked = [f"--{name}" for name in ("interval", "changes") if getattr(args, name) is not None]
    if asked and (len(members) == 1 or not members[0].network["likelihood"]):
        raise InputError(
            f"{' and '.join(asked)} needs a total uncertainty: several members with an uncertainty "
            "tail"
        )
    calibration, bounds = open_calibration(args, members, facts)
    gate = read_gate(args.pretrained_G, hashes_of(members))
    if gate is None:
        print("gate: no gate.json of these very members: only faults of the raw frames are noticed")
    return Run(functions, inputs, members, facts, args.convention, calibration, bounds, gate)


def open_calibration(
    args: argparse.Namespace, members: list[MemberFacts], facts: dict[str, Any]
) -> tuple[Calibration, Bounds | None]:
    """What to correct the uncertainties by, and the interval to write; both noted in the facts."""
    named = args.calibration
    if args.convention == "released":  # its uncertainties are other numbers
        if named is not None and str(named) != "none":
            raise InputError("--calibration belongs to --convention total_variance: leave it out")
        named = "none"
    found, words = find_calibration(args.pretrained_G, named, hashes_of(members))
    print(words)
    calibration = found or Calibration()
    by_look = calibration.by_look and asdict(calibration.by_look)
    facts["calibration"] = {"applied": found is not None, "scale": calibration.scale,
                            "by_look": by_look, "fitted_on": calibration.fitted_on}  # fmt: skip
    if args.interval is None:
        return calibration, None
    bounds = calibration.bounds(args.interval)
    facts["interval"] = {"level": args.interval, "meaning": KINDS[bounds.kind],
                         **bounds._asdict()}  # fmt: skip
    print(f"interval of {args.interval:.0%}: {KINDS[bounds.kind]}")
    return calibration, bounds


def trained_with_min_max(members: list[MemberFacts]) -> bool:
    """Whether the members come from the released code, which scales by min and max."""
    return members[0].training.get("normalisation") == "min-max"


def warn(members: list[MemberFacts], convention: str) -> None:
    """What these members cannot tell, or not in this way."""
    if not members[0].network["likelihood"]:
        print(
            "WARNING: these members have no uncertainty tail: aleatoric uncertainty is not "
            "modelled and not written (train.py --train_type uncertainty_tail adds it)"
        )
    if len(members) == 1:
        print(
            "WARNING: one member shows no spread: epistemic uncertainty is unknown and not written"
        )
    if convention == "released" and not trained_with_min_max(members):
        print(
            "WARNING: --convention released scales the frames by their smallest and largest count, "
            "but these members were trained with percentiles: for comparison only"
        )


def posterior_in_words(members: list[MemberFacts]) -> str:
    """How many members, of which sampler, at which temperature."""
    kinds = sorted({str(m.sampler.get("kind", "unknown sampler")) for m in members})
    temperatures = sorted({m.sampler.get("temperature") for m in members} - {None})
    words = f"{len(members)} member{'s' if len(members) > 1 else ''} ({' and '.join(kinds)}"
    if temperatures:
        words += f", temperature {' and '.join(f'{t:g}' for t in temperatures)}"
    return words + ")"


def result_folders(stacks: list[Path], save_path: Path) -> list[Path]:
    """Where the results of each stack go; no two to one place, and none over its own raw data."""
    if len(stacks) == 1:
        folders = [save_path]
    else:
        stems = [path.name if path.is_dir() else path.stem for path in stacks]
        taken = [stem.casefold() for stem in stems]
        # cell.tif and cell.mrc are two stacks: the ending keeps their results apart.
        folders = [
            save_path / (stem if taken.count(stem.casefold()) == 1 else path.name.replace(".", "_"))
            for path, stem in zip(stacks, stems, strict=True)
        ]
    for source, folder in zip(stacks, folders, strict=True):
        source, outputs = source.resolve(), folder.resolve()
        if source == outputs or (outputs == source.parent and source.name in file_names()):
            raise InputError(
                f"the results in {folder} would mix with or replace the raw data {source}; "
                "choose another --save_path"
            )
    return folders


# ---------------------------------------------------------------------------------------------
# One stack
# ---------------------------------------------------------------------------------------------


def reconstruct(stack: RawStack, run: Run) -> Reconstruction:
    """Posterior predictive of every time point, on one intensity scale unless released."""
    times, _, height, width = stack.raw.shape
    functions, released = run.functions, run.convention == "released"
    likelihood = run.members[0].network["likelihood"] or "gauss"
    maps = {name: np.empty((times, 2 * height, 2 * width), np.float32)
            for name in Prediction._fields}  # fmt: skip
    scales, factors, began = [], [], time.perf_counter()
    # Not drawn where nobody watches: a log would hold one line per step.
    with tqdm(total=times * len(functions), desc=stack.name, unit="member", disable=None) as bar:
        for t, raw in enumerate(stack.raw):
            norm, shown = network_input(raw, run, str(stack.source))
            prediction = CONVENTIONS[run.convention](counted(functions, bar), shown, likelihood)
            factors += run.calibration.factors(prediction)
            for name, image in run.calibration.apply(prediction)._asdict().items():
                maps[name][t] = image[0, 0].cpu().numpy()
            if not released:
                # Each time point has its own scale before the network; in counts they compare.
                for image in maps.values():
                    image[t] *= norm.scale
                maps["mean"][t] += norm.low
            scales.append(norm)
    require_usable(maps, stack.source)
    scale = scales[0] if released else to_sr_scale(maps)
    names = {"mean": "SR", "aleatoric": "Aleatoric", "epistemic": "Epistemic", "total": "Total"}
    named = {names[name]: image for name, image in maps.items()}
    return Reconstruction(named, scales, scale, factors, time.perf_counter() - began, released)


def network_input(raw: NDArray, run: Run, name: str) -> tuple[Normalisation, torch.Tensor]:
    """The scale of one time point, and what the networks are shown of it (1, F, H, W)."""
    if not run.min_max:
        norm = normalisation_of(raw, name)
        return norm, stack_input(raw, norm, run.inputs, FIRST_GUESS)[None]
    # The released code divides in float64 and rounds once, when it makes a tensor.
    norm = min_max_of(raw, name)
    return norm, stack_input(raw.astype(np.float64), norm, run.inputs, FIRST_GUESS)[None]


def counted(functions: Iterable[Callable], bar: tqdm) -> Iterator[Callable]:
    """The functions, each reported to the progress bar once it has been used."""
    for function in functions:
        yield function
        bar.update()


def require_usable(maps: dict[str, NDArray], source: Path) -> None:
    """`InputError` if the members predict nothing that could be shown."""
    low, high = float(maps["mean"].min()), float(maps["mean"].max())
    if not (np.isfinite((low, high)).all() and high > low):
        raise InputError(
            f"{source}: the members predict a constant or not finite image; the training of these "
            "members went wrong: name another --pretrained_G"
        )
    infinite = float((~np.isfinite(maps["aleatoric"])).mean())
    if infinite:
        raise InputError(
            f"{source}: at {infinite:.2%} of the pixels the uncertainty tail gives no finite "
            "standard deviation (a Student-t has none for two degrees of freedom or fewer): use "
            "--convention released, or fit the tails again"
        )


def to_sr_scale(counts: dict[str, NDArray]) -> Normalisation:
    """Counts -> normalised SR intensity, `(x - low) / (high - low)` over all time points."""
    mean = counts["mean"]
    scale = Normalisation(float(mean.min()), float(mean.max()))
    # In place: of a long time series the maps are the largest thing in memory.
    mean -= np.float32(scale.low)
    for image in counts.values():
        image /= np.float32(scale.scale)
    return scale


def without_unknown(result: Reconstruction, members: list[MemberFacts]) -> Reconstruction:
    """Leaves out what the members cannot tell: a map of zeros would read as certainty."""
    unknown = set()
    if not members[0].network["likelihood"]:
        unknown |= {"Aleatoric", "Total"}
    if len(members) == 1:
        unknown |= {"Epistemic", "Total"}
    maps = {name: image for name, image in result.maps.items() if name not in unknown}
    return result._replace(maps=maps)


def with_interval(result: Reconstruction, bounds: Bounds | None) -> Reconstruction:
    """Adds the ends of the interval, `SR + low Total` and `SR + high Total`, if any is wanted."""
    if bounds is None:
        return result
    sr, total = result.maps["SR"], result.maps["Total"]
    ends = zip(INTERVAL, (bounds.low, bounds.high), strict=True)
    return result.with_further({name: sr + np.float32(end) * total for name, end in ends})


def with_trust(result: Reconstruction, args: argparse.Namespace) -> Reconstruction:
    """Adds how far to trust each pixel, where the total uncertainty is known."""
    if "Total" not in result.maps:
        return result
    mean, total = (torch.from_numpy(result.maps[name]) for name in ("SR", "Total"))
    generator = torch.Generator().manual_seed(DRAW_SEED)
    added = trust_maps(mean, total, generator, args.delta, args.exceed, args.draws)
    return result._replace(maps=result.maps | {k: image.numpy() for k, image in added.items()})


def with_changes(
    result: Reconstruction, stack: RawStack, run: Run, level: float | None
) -> Reconstruction:
    """Adds the change from each time point to the next, and where it is certain, if wanted.

    Two time points at a time, so that memory does not grow with the series.
    """
    if level is None:
        return result
    likelihood = run.members[0].network["likelihood"]
    maps: dict[str, list[NDArray]] = {"Change": [], "Changed": []}
    earlier = network_input(stack.raw[0], run, str(stack.source))
    # Of two time points, the larger factor: a change is marked only beyond doubt.
    pairs = zip(stack.raw[1:], map(max, pairwise(result.factors)), strict=True)
    for raw, factor in tqdm(pairs, "changes", len(stack.raw) - 1, unit="step", disable=None):
        later = network_input(raw, run, str(stack.source))
        norms, shown = zip(earlier, later, strict=True)
        scales, lows = [norm.scale for norm in norms], [norm.low for norm in norms]
        _, change = predict_series(run.functions, torch.cat(shown), scales, lows, likelihood)
        certain = marked(change.difference, factor * change.total, level)
        difference = change.difference[0, 0].cpu().numpy() / np.float32(result.scale.scale)
        maps["Change"].append(difference)
        maps["Changed"].append(np.sign(difference) * certain[0, 0].cpu().numpy())
        earlier = later
    return result.with_further({name: np.stack(images) for name, images in maps.items()})


def with_misfit(result: Reconstruction, stack: RawStack, wanted: bool) -> Reconstruction:
    """Adds where the frames contradict the SR, see `resimulate_field`, if it is wanted."""
    if not wanted:
        return result
    maps: dict[str, list[NDArray]] = {"Invented": [], "Misfit": []}
    times = zip(stack.raw, result.maps["SR"], strict=True)
    for raw, sr in tqdm(times, "re-simulation", len(stack.raw), unit="image", disable=None):
        counts = torch.from_numpy(raw.astype(np.float32))
        seen = resimulate_field(counts, torch.from_numpy(sr))
        maps["Invented"].append(seen.invented.float().numpy())
        maps["Misfit"].append(seen.chi2.float().numpy())
    return result.with_further({name: np.stack(images) for name, images in maps.items()})


def verdict_of(
    stack: RawStack, pixel_size_nm: float | None, result: Reconstruction, run: Run
) -> Verdict:
    """The worst verdict over a few time points, see `bayesdl_sim.inference.gate`."""
    if min(stack.raw.shape[-2:]) < SMALLEST_FIELD:
        return Verdict("not judged", None, (f"the field has less than {SMALLEST_FIELD} pixels",))
    verdicts = []
    times = np.unique(np.linspace(0, len(stack.raw) - 1, JUDGED_TIMES).round().astype(int))
    for t in times:
        raw = torch.from_numpy(stack.raw[t].astype(np.float32))
        seen = examine(raw, torch.from_numpy(result.maps["SR"][t]))
        checks, field = seen.checks._asdict(), tuple(seen.resimulation.invented.shape)
        wide_field = stack.raw[t].mean(axis=0)[seen.square]
        epistemic = None
        if "Epistemic" in result.maps:  # as the members give it: so the validation cells scored
            epistemic = result.maps["Epistemic"][t][seen.fine_square] / result.factors[t]
        scores = stack_scores(
            checks, seen.misfit(), wide_field, result.maps["SR"][t][seen.fine_square], epistemic
        )
        gate = run.gate
        comparable = gate if gate is not None and set(gate.scores) == set(scores) else None
        verdicts.append(
            judge(findings(checks, field, pixel_size_nm), scores, comparable, len(times))
        )
    return max(verdicts, key=lambda v: ("accept", "warn", "refuse").index(v.decision))


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


# ---------------------------------------------------------------------------------------------
# Results
# ---------------------------------------------------------------------------------------------


def stack_facts(
    stack: RawStack, pixel_size_nm: float | None, result: Reconstruction
) -> dict[str, Any]:
    """What prediction.json says about the stack itself."""
    return {
        "source": {
            "file": stack.source.name,
            "time_points": stack.raw.shape[0],
            "frame_size": list(stack.raw.shape[-2:]),
            "raw_pixel_size_nm": pixel_size_nm,
        },
        "normalisation": {
            "raw_counts_per_time_point": [norm._asdict() for norm in result.raw_scales],
            "sr_counts": result.scale._asdict(),
            "meaning": "counts = low + (high - low) SR.tif / 65535; uncertainties in counts = "
            "(high - low) times the map"
            + ("; each time point by its own raw_counts" if result.released else ""),
        },
        "deviations_multiplied_by": result.factors,
        "channels": list(result.maps),
        "not_modelled": [name for name in WIDTHS if name not in result.maps],
        "seconds": round(result.seconds, 3),
    }


def report(
    stack: RawStack,
    pixel_size_nm: float | None,
    result: Reconstruction,
    scores: dict[str, Quality],
    folder: Path,
) -> None:
    """A few lines per stack."""
    times, frames, height, width = stack.raw.shape
    series = f"{times} time points of " if times > 1 else ""
    size = f"{pixel_size_nm:g} nm" if pixel_size_nm else "of unknown size (--pixel_size_nm)"
    print(f"{stack.source}: {series}{frames} frames of {height}x{width} px, pixel {size}")
    widths = [
        f"{name.lower()} {result.maps[name].mean():.2g}" for name in WIDTHS if name in result.maps
    ]
    print(f"   {result.seconds:.1f} s; mean uncertainty: {', '.join(widths) or 'not modelled'}")
    if "Credibility" in result.maps:
        print(f"   mean credibility {result.maps['Credibility'].mean():.2f}")
    if "Invented" in result.further:
        share = (np.abs(result.further["Invented"]) > CONTRADICTED).mean()
        print(
            f"   contradicted by the frames (over {CONTRADICTED:g} standard deviations): "
            f"{share:.2%} of the field"
        )
    if "Changed" in result.further:
        rms = float(np.sqrt(np.mean(np.square(result.further["Change"]))))
        share = np.abs(result.further["Changed"]).mean()
        print(
            f"   from one time point to the next: rms change {rms:.2g}; beyond its interval at "
            f"{share:.2%} of the pixels"
        )
    for name, score in scores.items():
        print(
            f"   {name:>10}: PSNR {score.psnr:.2f} dB, SSIM {score.ssim:.3f}, NRMSE "
            f"{score.nrmse:.3f} (legacy {score.psnr_legacy:.2f} dB, {score.ssim_legacy:.3f}, "
            f"{score.nrmse_legacy:.3f})"
        )
    print(f"   results in {folder}")


@contextmanager
def out_of_memory_says(advice: str) -> Iterator[None]:
    """One line with what to do, instead of a traceback."""
    try:
        yield
    except (MemoryError, torch.OutOfMemoryError):
        raise InputError(advice) from None


def process(source: Path, folder: Path, args: argparse.Namespace, run: Run) -> None:
    """Reads, reconstructs and writes one stack."""
    stack = read_stack(source)
    pixel_size_nm = args.pixel_size_nm or stack.pixel_size_nm
    target = None if args.target is None else read_target(args.target, stack)
    height, width = stack.raw.shape[-2:]
    if args.misfit and min(height, width) < SMALLEST_FIELD:
        raise InputError(
            f"{source}: {height}x{width} px are too few for --misfit, which needs {SMALLEST_FIELD} "
            "a side to see the fringes: leave it out"
        )
    if args.changes is not None and len(stack.raw) < 2:
        raise InputError(
            f"{source} is one time point, but --changes compares each with the next: leave it out"
        )
    is_local = run.members[0].is_local
    if not is_local and max(height, width) > args.tile:
        print(
            f"{source}: {height}x{width} px are computed at once, not in tiles of {args.tile} px: "
            "this network averages over the whole field, and tiles would change its result"
        )
    smaller = f"use a smaller --tile (now {args.tile})" if is_local else "crop the stack"
    advice = f"{source}: not enough memory for {height}x{width} px; {smaller} or --device cpu"
    with out_of_memory_says(advice):
        result = without_unknown(reconstruct(stack, run), run.members)
        result = with_trust(with_interval(result, run.bounds), args)
    verdict = verdict_of(stack, pixel_size_nm, result, run)
    print(f"{source}: verdict: {verdict.sentence()}")
    if verdict.decision == "refuse" and not args.force:
        raise InputError(
            f"{source}: refused, nothing is written: {'; '.join(verdict.reasons)}; mend the stack, "
            "or use --force to write the result all the same"
        )
    with out_of_memory_says(advice):
        result = with_misfit(result, stack, args.misfit)
        result = with_changes(result, stack, run, args.changes)
    scores = {} if target is None else compare(result.maps["SR"], stack.raw, target)
    facts = {**run.facts, **stack_facts(stack, pixel_size_nm, result), "delta": args.delta}
    facts["verdict"] = verdict._asdict() | {"forced": verdict.decision == "refuse"}
    if scores:
        facts["quality"] = {name: score._asdict() for name, score in scores.items()}
    # The released code cuts where we round.
    cut = np.floor(65535 * result.maps["SR"]) / 65535 if result.released else None
    wide_field = result.scale.apply(stack.raw.mean(axis=1))
    write_results(folder, result.maps, result.further, wide_field, pixel_size_nm, facts, cut)
    report(stack, pixel_size_nm, result, scores, folder)


def main(argv: list[str] | None = None) -> None:
    """All stacks; one that fails does not stop the others."""
    args = parse_args(argv)
    stacks = find_stacks(args.test_data)
    if args.target is not None and len(stacks) > 1:
        raise InputError(f"--target is for one stack, but {args.test_data} holds {len(stacks)}")
    folders = result_folders(stacks, args.save_path)
    run = open_run(args)
    writable_folder(args.save_path)
    failures = []
    for source, folder in zip(stacks, folders, strict=True):
        try:
            process(source, folder, args, run)
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


if __name__ == "__main__":
    run_script(main)
