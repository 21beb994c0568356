"""Evaluates a posterior on the test cells of a data set: image, uncertainty, calibration.

    # Scores, diagrams and one report.html of the test cells
    python evaluate.py --root_dir DatasetGenerate/Trainingdata/F-actin \
        --pretrained_G checkpoint/F-actin/BayesDL-SIM --save_path results/evaluation

    # Fit the calibration on the validation cells and store it beside the members
    python evaluate.py --calibrate --root_dir DatasetGenerate/Trainingdata/F-actin \
        --pretrained_G checkpoint/F-actin/BayesDL-SIM

    # A set made for evaluation only, of which every cell may be used
    python evaluate.py --root_dir runs/eval --cells 1-30 --calibration_cells 31-60 \
        --save_path results/evaluation

Written to --save_path:

    report.html         everything below, pictures inside: opens without a network
    summary.json        means over cells with 95 % bootstrap intervals over cells, bars, provenance
    metrics.csv         image quality: one row per stack and method
    uncertainty.csv     scores of the distribution: one row per stack and predictor
    *.png               the diagrams and example panels of the report

All intensities are normalised as the network's (`data.normalise`), and targets are tied to the
same scale. Image quality is taken on whole fields after an affine fit; the uncertainty on a seeded
sample of pixels per stack. The uncertainty stands beside two baselines fitted on the same
validation cells: a sigma that is a function of the SR intensity alone, and one constant sigma.
"""

import argparse
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from bayesdl_sim.bayes.calibration.image_features import look_of
from bayesdl_sim.bayes.calibration.recalibration import (
    CALIBRATION_FILE,
    Calibration,
    CalibrationStack,
    find_calibration,
    fit_calibration,
)
from bayesdl_sim.bayes.likelihoods import standard_deviation
from bayesdl_sim.bayes.prediction import Prediction, predict
from bayesdl_sim.data.formats.tiff import read_image
from bayesdl_sim.data.inputs import FirstGuess, input_spec, stack_input
from bayesdl_sim.data.normalise import (
    Normalisation,
    min_max_of,
    normalisation_of,
    target_normalisation,
)
from bayesdl_sim.data.sets.layout import DatasetTree
from bayesdl_sim.data.stacks import read_stack
from bayesdl_sim.evaluation.baselines import Baselines, fit_baselines
from bayesdl_sim.evaluation.charts import quality_diagrams
from bayesdl_sim.evaluation.groups import (
    bars,
    by_structure,
    conformal_risks,
    differences,
    group_calibration,
    intensity_deciles,
    signal_deciles,
)
from bayesdl_sim.evaluation.page import finite, picture, table, text, write_csv, write_page
from bayesdl_sim.evaluation.scoring import (
    AS_PREDICTED,
    CALIBRATED,
    LEVELS,
    Sample,
    distribution_scores,
    fair_crps,
    mixture_draws,
    predictors,
)
from bayesdl_sim.evaluation.uncertainty_charts import uncertainty_diagrams
from bayesdl_sim.metrics.bootstrap import Estimate, table_of_means
from bayesdl_sim.metrics.image_scores import IMAGE_SCORES, image_scores
from bayesdl_sim.metrics.images import error_map
from bayesdl_sim.models.members import MemberFacts, describe_members, hashes_of, member_functions
from bayesdl_sim.physics.optics import TYPICAL_OPTICS, Optics
from bayesdl_sim.physics.reconstruction.deconvolution import deconvolved_wide_field
from bayesdl_sim.physics.reconstruction.first_guess import FIRST_GUESS_VERSION, first_guess
from bayesdl_sim.physics.reconstruction.wiener import wide_field_upsampled, wiener_sim
from bayesdl_sim.utils.devices import choose_device, choose_precision
from bayesdl_sim.utils.errors import InputError, run_script, strict_bool, writable_folder
from bayesdl_sim.utils.files import atomic_path, write_json
from bayesdl_sim.utils.pictures import write_overview
from bayesdl_sim.utils.run_log import provenance

SHIPPED = Path("checkpoint/F-actin/pretrained_G")
FIRST_GUESS = FirstGuess(first_guess, FIRST_GUESS_VERSION)
SMALLEST_SIGMA = 1e-6  # normalised intensity
OURS, WIDE_FIELD, WIENER, DECONVOLVED = (
    "BayesDL-SIM", "wide field", "Wiener SIM", "Richardson-Lucy",
)  # fmt: skip
LENGTHS = ("frc_px", "frc_3sigma_px", "decorrelation_px")
SHORT = ("psnr", "ssim", "ms_ssim", "nrmse", "frc", "decorrelation", "rsp")  # in tables of groups
SCORES = ("nll", "crps", "crps_fair", "mean_z2", "quantile_error", "ence", "sharpness", "ause",
          "aurg")  # fmt: skip


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description="Evaluates or calibrates a BayesDL posterior on a data set.",
        allow_abbrev=False,
    )
    data = parser.add_argument_group("data")
    data.add_argument("--root_dir", type=Path, required=True, help="data set (Raw, GT, WF)")
    data.add_argument(
        "--part", choices=["test", "validation"], default="test", help="cells to evaluate"
    )
    data.add_argument("--cells", type=cell_numbers, help="these instead, e.g. 1-30,42")
    data.add_argument(
        "--calibration_cells", type=cell_numbers,
        help="cells to fit calibration and baselines on (default: the validation cells)",
    )  # fmt: skip
    data.add_argument("--max_stacks", type=int, help="evaluate this many, evenly picked")
    data.add_argument("--na", type=float, help="aperture, where the set does not know it")
    data.add_argument("--emission_nm", type=float, help="wavelength, likewise")

    posterior = parser.add_argument_group("posterior")
    posterior.add_argument(
        "--pretrained_G", type=Path, default=SHIPPED, help="folder of members (%(default)s)"
    )
    posterior.add_argument(
        "--compare", type=Path, nargs="+", default=[], help="other folders of members"
    )
    posterior.add_argument(
        "--calibrate", action="store_true",
        help=f"fit on the validation cells, write {CALIBRATION_FILE} beside the members, and stop",
    )  # fmt: skip
    posterior.add_argument(
        "--calibration", type=Path,
        help=f"file of the calibration, or none (default: {CALIBRATION_FILE} beside the members; "
        "without one, fitted for this report on the validation cells)",
    )  # fmt: skip

    run = parser.add_argument_group("run")
    run.add_argument("--save_path", type=Path, help="folder of the results")
    run.add_argument(
        "--classical", type=strict_bool, default=True,
        help="True: also Wiener SIM and Richardson-Lucy, seconds per stack (default %(default)s)",
    )  # fmt: skip
    run.add_argument("--pixels", type=int, default=16384, help="sampled per stack (%(default)s)")
    run.add_argument("--seed", type=int, default=0, help="of samples, draws and bootstrap")
    run.add_argument("--tile", type=int, default=512, help="raw pixels (default %(default)s)")
    run.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:n")
    run.add_argument("--precision", choices=["auto", "fp32", "bf16"], default="auto")
    args = parser.parse_args(argv)
    for name, least in (("max_stacks", 1), ("pixels", 100), ("seed", 0), ("tile", 32)):
        value = getattr(args, name)
        if value is not None and value < least:
            raise InputError(f"--{name}: expected at least {least}, found {value}")
    if not args.calibrate and args.save_path is None:
        raise InputError("expected --save_path, a folder for the report (or --calibrate)")
    return args


def cell_numbers(words: str) -> list[int]:
    """`1-3,7` -> 1, 2, 3, 7: type of a command-line option."""
    numbers: set[int] = set()
    try:
        for part in words.split(","):
            first, _, last = part.partition("-")
            numbers.update(range(int(first), int(last or first) + 1))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected e.g. 1-30,42, found {words!r}") from None
    if not numbers:
        raise argparse.ArgumentTypeError(f"no cell in {words!r}")
    return sorted(numbers)


# ---------------------------------------------------------------------------------------------
# Data and posteriors
# ---------------------------------------------------------------------------------------------


class Case(NamedTuple):
    """One stack with its truth.

    Attributes:
        cell, level: numbers in the tree.
        structure: name, "" where unknown.
        signal_e: median electrons per lit pixel, NaN where unknown.
        raw: counts (9, H, W).
        norm: scale of the network's intensities.
        target: (2H, 2W) in these.
        optics: nominal optics, None where unknown.
        pixel_size_nm: of the raw frames, None where unknown.
    """

    cell: int
    level: int
    structure: str
    signal_e: float
    raw: NDArray[np.float32]
    norm: Normalisation
    target: NDArray[np.float32]
    optics: Optics | None
    pixel_size_nm: float | None

    @property
    def name(self) -> str:
        """For people."""
        return f"cell {self.cell}, level {self.level}"

    @property
    def wide_field(self) -> NDArray[np.float64]:
        """Mean of the nine frames (H, W), normalised as the target."""
        return self.norm.apply(self.raw.mean(axis=0, dtype=np.float64))


class Posterior(NamedTuple):
    """The members of a folder, and the calibration that lies beside them."""

    label: str
    functions: list[Callable]
    members: list[MemberFacts]
    calibration: Calibration | None

    @property
    def likelihood(self) -> str:
        """What the tail's maps parametrise."""
        return self.members[0].network["likelihood"] or "gauss"

    @property
    def states_uncertainty(self) -> bool:
        """False for a single member without a tail."""
        return bool(self.members[0].network["likelihood"]) or len(self.members) > 1

    @property
    def hashes(self) -> dict[str, str]:
        """File name -> SHA-256 of the members."""
        return hashes_of(self.members)


def open_posterior(folder: Path, label: str, args: argparse.Namespace) -> Posterior:
    """Checks the members, finds their calibration, and says both."""
    device = choose_device(args.device)
    members = describe_members(folder)
    functions = member_functions(
        folder, device, choose_precision(args.precision, device), args.tile, keep=True
    )
    print(f"{label}: {len(members)} member(s) of {folder}; {device}")
    posterior = Posterior(label, functions, members, None)
    if args.calibrate:
        return posterior
    named = args.calibration if label == OURS else None
    calibration, words = find_calibration(folder, named, posterior.hashes)
    print(words)
    return posterior._replace(calibration=calibration)


def labels(folders: Sequence[Path]) -> dict[str, Path]:
    """Folders by their name, or by their whole path where two have the same name."""
    names = [folder.name for folder in folders]
    taken = {OURS, WIDE_FIELD, WIENER, DECONVOLVED}
    return {
        str(folder) if names.count(folder.name) > 1 or folder.name in taken else folder.name: folder
        for folder in folders
    }


def chosen_cells(tree: DatasetTree, args: argparse.Namespace) -> tuple[list[int], list[int]]:
    """Cells to evaluate and cells to calibrate on.

    Raises:
        InputError: a cell that the set does not have, or that is in both lists.
    """
    splits = tree.spec.splits
    evaluated = args.cells or splits[args.part]
    fitted = args.calibration_cells or splits["validation"]
    known = tree.cells()
    for cell in (*evaluated, *fitted):
        if cell not in known:
            raise InputError(f"cell {cell} is not in {tree.root}, which holds {len(known)} cells")
    both = sorted(set(evaluated) & set(fitted))
    if both and not args.calibrate:
        if args.cells and args.calibration_cells:
            raise InputError(f"cell {both[0]} is in --cells and in --calibration_cells: choose one")
        print("WARNING: calibration and baselines are fitted on cells that are evaluated too")
    trained = set(splits["train"]) & ({*fitted} if args.calibrate else {*evaluated, *fitted})
    if trained:
        print(
            f"WARNING: {len(trained)} of the cells belong to the set's training part: right only "
            "if these members were trained on another set"
        )
    return evaluated, fitted


def list_stacks(tree: DatasetTree, cells: Sequence[int], most: int | None) -> list[tuple[int, int]]:
    """(cell, level) pairs; of too many, evenly picked ones."""
    pairs = [(cell, level) for cell in cells for level in tree.levels(cell)]
    if most is not None and most < len(pairs):
        pairs = [pairs[i] for i in np.linspace(0, len(pairs) - 1, most).round().astype(int)]
    return pairs


def read_case(tree: DatasetTree, cell: int, level: int, args: argparse.Namespace) -> Case:
    """One stack and its target from the disk.

    Raises:
        InputError: unreadable files, or a target that does not show the same field.
    """
    stack = read_stack(tree.raw_folder(cell, level))
    raw = stack.raw[0]
    norm = normalisation_of(raw, str(stack.source))
    path = tree.gt_path(cell)
    target = read_image(path).astype(np.float32)
    if target.shape != tuple(2 * side for side in raw.shape[1:]):
        raise InputError(f"{path} is {target.shape} px, expected twice the frames {raw.shape[1:]}")
    scale = target_normalisation(target, raw.mean(axis=0, dtype=np.float64), norm, str(path))
    facts = tree.spec.details.get("cells", {}).get(str(cell), {})
    optics = facts.get("microscope", {}).get("optics", {})
    size = optics.get("pixel_size_nm") or tree.spec.pixel_size_nm or stack.pixel_size_nm
    known = (optics.get("na") or args.na, optics.get("emission_nm") or args.emission_nm, size)
    signals = facts.get("signal_e", [])
    return Case(
        cell=cell,
        level=level,
        structure=facts.get("structure", tree.spec.sample),
        signal_e=float(signals[level - 1]) if level <= len(signals) else float("nan"),
        raw=raw,
        norm=norm,
        target=scale.apply(target),
        optics=Optics(*known, TYPICAL_OPTICS.damping) if all(known) else None,
        pixel_size_nm=size,
    )


def network_input(case: Case, posterior: Posterior) -> tuple[Tensor, Normalisation]:
    """What the networks see of a stack, (1, F, H, W), and the scale of what they answer."""
    min_max = posterior.members[0].training.get("normalisation") == "min-max"
    norm = min_max_of(case.raw) if min_max else case.norm
    inputs = input_spec(posterior.members[0].network)
    return stack_input(case.raw, norm, inputs, FIRST_GUESS)[None], norm


def sampled_pixels(case: Case, args: argparse.Namespace) -> NDArray[np.int64]:
    """Numbers of the pixels that stand for a stack; all of a small one."""
    size = case.target.size
    if size <= args.pixels:
        return np.arange(size)
    rng = np.random.default_rng([args.seed, case.cell, case.level])
    return np.sort(rng.choice(size, args.pixels, replace=False))


def reconstruct(
    case: Case, posterior: Posterior, args: argparse.Namespace
) -> tuple[Prediction, Sample]:
    """Maps (2H, 2W) in the case's intensities, uncalibrated, and the sampled pixels."""
    index = sampled_pixels(case, args)
    kept: list[tuple[NDArray, NDArray]] = []

    def recorded(function: Callable) -> Callable:
        def apply(raw: Tensor) -> tuple[Tensor, Tensor | None]:
            mean, parameters = function(raw)
            values = mean.float().cpu().numpy().ravel()[index]
            deviation = np.zeros_like(values)
            if parameters is not None:
                sigma = standard_deviation(posterior.likelihood, parameters)
                deviation = sigma.float().cpu().numpy().ravel()[index]
            kept.append((values, deviation))
            return mean, parameters

        return apply

    frames, norm = network_input(case, posterior)
    prediction = predict(map(recorded, posterior.functions), frames, posterior.likelihood)
    factor = norm.scale / case.norm.scale
    offset = (norm.low - case.norm.low) / case.norm.scale
    mean, *deviations = (image[0, 0].float().cpu().numpy() for image in prediction)
    maps = Prediction(factor * mean + offset, *(factor * image for image in deviations))
    if not all(np.isfinite(image).all() for image in maps):
        raise InputError(f"{case.name}: {posterior.label} predicts values that are not finite")
    means, sigmas = (factor * np.stack(values) for values in zip(*kept, strict=True))
    rng = np.random.default_rng([args.seed, case.cell, case.level, 1])
    sample = Sample(
        case.cell,
        case.level,
        case.signal_e,
        case.target.ravel()[index].astype(np.float64),
        maps.mean.ravel()[index].astype(np.float64),
        np.maximum(maps.total.ravel()[index].astype(np.float64), SMALLEST_SIGMA),
        mixture_draws(means + offset, sigmas, rng),
        case.structure,
        look_of(maps.mean, maps.total),
    )
    return maps, sample


def each_case(
    tree: DatasetTree,
    pairs: Sequence[tuple[int, int]],
    words: str,
    args: argparse.Namespace,
    left_out: dict[str, str],
) -> Iterator[Case]:
    """The stacks with a progress bar; one that cannot be read is noted in `left_out`."""
    # Not drawn where nobody watches: a log would hold one line per step.
    for cell, level in tqdm(pairs, desc=words, unit="stack", disable=None):
        try:
            yield read_case(tree, cell, level, args)
        except InputError as error:
            left_out[f"cell {cell}, level {level}"] = str(error)


# ---------------------------------------------------------------------------------------------
# Calibration
# ---------------------------------------------------------------------------------------------


def calibration_samples(
    tree: DatasetTree, cells: Sequence[int], posterior: Posterior, args: argparse.Namespace
) -> list[Sample]:
    """Sampled pixels of the cells to fit on."""
    left_out: dict[str, str] = {}
    pairs = list_stacks(tree, cells, None)
    cases = each_case(tree, pairs, "cells to calibrate on", args, left_out)
    samples = [reconstruct(case, posterior, args)[1]._replace(draws=None) for case in cases]
    for name, reason in left_out.items():
        print(f"WARNING: {name} is left out of the calibration: {reason}")
    if not samples:
        raise InputError(f"{tree.root}: no stack of the cells {list(cells)} can calibrate")
    return samples


def fit(
    samples: Sequence[Sample], posterior: Posterior, tree: DatasetTree, args: argparse.Namespace
) -> Calibration:
    """The calibration of these samples, every cell one unit."""
    numbers = sorted({sample.cell for sample in samples})
    cells = [
        [CalibrationStack(s.error, s.sigma, s.look) for s in samples if s.cell == number]
        for number in numbers
    ]
    facts = {
        "set": tree.root.resolve().name,
        "sample": tree.spec.sample,
        "cell_numbers": numbers,
        "stacks": len(samples),
        "seed": args.seed,
        "provenance": provenance(),
    }
    return fit_calibration(cells, members=posterior.hashes, fitted_on=facts)


def calibrate(tree: DatasetTree, cells: Sequence[int], args: argparse.Namespace) -> None:
    """Fits and stores the calibration beside the members."""
    posterior = open_posterior(args.pretrained_G, OURS, args)
    require_uncertainty(posterior)
    writable_folder(args.pretrained_G)
    calibration = fit(calibration_samples(tree, cells, posterior, args), posterior, tree, args)
    path = args.pretrained_G / CALIBRATION_FILE
    calibration.to_json(path)
    print("\n".join(calibration.in_words()))
    print(f"written to {path}; test.py applies it")


def require_uncertainty(posterior: Posterior) -> None:
    """`InputError` for members that state no uncertainty at all."""
    if not posterior.states_uncertainty:
        raise InputError(
            "one member without an uncertainty tail states no uncertainty: fit a tail with "
            "train.py --train_type uncertainty_tail, or draw more members"
        )


# ---------------------------------------------------------------------------------------------
# Scores
# ---------------------------------------------------------------------------------------------


def classical_images(case: Case) -> dict[str, NDArray]:
    """Wiener SIM and Richardson-Lucy wide field with the nominal optics."""
    raw = torch.from_numpy(case.raw)
    return {
        WIENER: wiener_sim(raw, case.optics).double().numpy(),
        DECONVOLVED: deconvolved_wide_field(raw, case.optics, case.norm.low),
    }


def image_row(name: str, image: NDArray, case: Case) -> dict[str, Any]:
    """Scores of one picture of one stack; lengths in pixels of the doubled grid and in nm."""
    scores = image_scores(image, case.target, case.wide_field)
    facts = case_facts(case)
    lengths = {name.replace("_px", "_nm"): facts["sr_pixel_nm"] * scores[name] for name in LENGTHS}
    return {**facts, "method": name, **scores, **lengths}


class Results(NamedTuple):
    """Everything that the stacks gave, one after the other."""

    images: list[dict[str, Any]]
    uncertainty: list[dict[str, Any]]
    samples: list[Sample]
    examples: dict[str, dict[str, NDArray]]
    left_out: dict[str, str]


def evaluate_cases(
    cases: Iterable[Case],
    posteriors: Sequence[Posterior],
    baselines: Baselines,
    calibration: Calibration,
    args: argparse.Namespace,
    left_out: dict[str, str],
) -> Results:
    """Every stack once: reconstructed by every posterior, scored, and let go."""
    results = Results([], [], [], {}, left_out)
    worst = -np.inf
    for case in cases:
        try:
            images, maps, samples = predict_case(case, posteriors, args)
            rows = [image_row(name, image, case) for name, image in images.items()]
        except InputError as error:
            left_out[case.name] = str(error)
            continue
        results.images.extend(rows)
        results.uncertainty.extend(
            uncertainty_rows(case, posteriors, samples, baselines, calibration)
        )
        results.samples.append(samples[0]._replace(draws=None))
        error = next(row["nrmse"] for row in rows if row["method"] == OURS)
        if not results.examples:
            results.examples["first stack"] = example(case, images, maps, calibration)
        if error > worst:
            worst = error
            results.examples["largest NRMSE"] = example(case, images, maps, calibration)
    return results


def predict_case(
    case: Case, posteriors: Sequence[Posterior], args: argparse.Namespace
) -> tuple[dict[str, NDArray], Prediction, list[Sample]]:
    """Pictures of all methods, the maps of the first posterior, the samples of all."""
    predictions = [reconstruct(case, posterior, args) for posterior in posteriors]
    images = {
        posterior.label: maps.mean
        for posterior, (maps, _) in zip(posteriors, predictions, strict=True)
    }
    images[WIDE_FIELD] = wide_field_upsampled(torch.from_numpy(case.raw)).double().numpy()
    if args.classical and case.optics is not None:
        images |= classical_images(case)
    return images, predictions[0][0], [sample for _, sample in predictions]


def uncertainty_rows(
    case: Case,
    posteriors: Sequence[Posterior],
    samples: Sequence[Sample],
    baselines: Baselines,
    calibration: Calibration,
) -> list[dict[str, Any]]:
    """One row per predictor of one stack."""
    rows = []
    for name, (sigma, rule) in predictors(samples[0], baselines, calibration).items():
        fair = {AS_PREDICTED: 1.0, CALIBRATED: calibration.factor(samples[0].look)}.get(name)
        row = {**case_facts(case), "method": name}
        row |= distribution_scores(samples[0], sigma, rule)
        row["crps_fair"] = float("nan") if fair is None else fair_crps(samples[0], fair)
        rows.append(row)
    for posterior, sample in zip(posteriors[1:], samples[1:], strict=True):
        if not posterior.states_uncertainty:
            continue
        rule = posterior.calibration or Calibration()
        row = {**case_facts(case), "method": posterior.label}
        row |= distribution_scores(sample, sample.calibrated(rule), rule)
        rows.append(row | {"crps_fair": fair_crps(sample, rule.factor(sample.look))})
    return rows


def case_facts(case: Case) -> dict[str, Any]:
    """Columns that every row has."""
    return {
        "cell": case.cell,
        "level": case.level,
        "structure": case.structure,
        "signal_e": case.signal_e,
        "sr_pixel_nm": case.pixel_size_nm / 2 if case.pixel_size_nm else float("nan"),
    }


def example(
    case: Case, images: dict[str, NDArray], maps: Prediction, calibration: Calibration
) -> dict[str, Any]:
    """Two rows of panels of one stack: what was seen and is true, and what was said of it."""
    seen = {name.capitalize() if name == WIDE_FIELD else name: image
            for name, image in images.items()}  # fmt: skip
    factor = calibration.factor(look_of(maps.mean, maps.total))
    said = {
        "|error|": np.abs(case.target - maps.mean),
        "Aleatoric uncertainty": factor * maps.aleatoric,
        "Epistemic uncertainty": factor * maps.epistemic,
        "Total uncertainty": factor * maps.total,
        "SQUIRREL error map": np.abs(error_map(maps.mean, case.wide_field)),
    }
    return {
        "rows": [seen | {"Target": case.target}, said],
        "pixel_size_nm": case.pixel_size_nm / 2 if case.pixel_size_nm else None,
        "words": f"{case.name} ({case.structure}"
        + (")" if np.isnan(case.signal_e) else f", {case.signal_e:.3g} e-/px)"),
    }


# ---------------------------------------------------------------------------------------------
# Summary
# ---------------------------------------------------------------------------------------------


def summarise(results: Results, calibration: Calibration, args: argparse.Namespace) -> dict:
    """All tables: title -> rows; estimates as `Estimate`."""
    rows, seed = results.images, args.seed
    unit = "_nm" if all(np.isfinite(row["sr_pixel_nm"]) for row in rows) else "_px"
    columns = [name.replace("_px", unit) for name in IMAGE_SCORES]
    short = [name for name in columns if name.removesuffix(unit) in SHORT]
    coverages = [f"coverage_{level:g}" for level in LEVELS]
    widths = [f"width_{level:g}" for level in LEVELS]
    uncertainty = table_of_means(results.uncertainty, ["method"], SCORES, seed)
    intervals = table_of_means(results.uncertainty, ["method"], coverages + widths, seed)
    less = differences(results.uncertainty, seed)
    by_intensity = group_calibration(intensity_deciles(results.samples, calibration), calibration)
    by_signal = group_calibration(signal_deciles(results.samples, calibration), calibration)
    ours = next(row for row in uncertainty if row["method"] == CALIBRATED)
    ours |= next(row for row in intervals if row["method"] == CALIBRATED)
    return {
        "Bars": bars(ours, less[0], by_intensity, by_signal),
        "Image quality": table_of_means(rows, ["method"], columns, seed),
        "Image quality per structure": table_of_means(rows, ["structure", "method"], short, seed),
        "Image quality per level": table_of_means(
            with_signal(rows), ["signal, e-/px", "method"], short, seed
        ),
        "Uncertainty": [{k: row[k] for k in ("method", *SCORES)} for row in uncertainty],
        "Intervals": [{k: row[k] for k in ("method", *coverages, *widths)} for row in intervals],
        "Differences": less,
        "Per intensity decile": by_intensity,
        "Per signal decile": by_signal,
        "Per structure": group_calibration(by_structure(results.samples, calibration), calibration),
        "Conformal risk": conformal_risks(results.samples, calibration),
    }


def with_signal(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows by level, with the level's median signal (or its number, where unknown)."""
    texts = {}
    for level in sorted({row["level"] for row in rows}):
        signal = float(np.median([row["signal_e"] for row in rows if row["level"] == level]))
        texts[level] = f"level {level}" if np.isnan(signal) else f"level {level}: {signal:.3g}"
    rows = sorted(rows, key=lambda row: row["level"])
    return [{**row, "signal, e-/px": texts[row["level"]]} for row in rows]


# ---------------------------------------------------------------------------------------------
# Results
# ---------------------------------------------------------------------------------------------


def write_results(
    folder: Path,
    results: Results,
    tables: dict,
    figures: dict[str, tuple[Figure, str]],
    facts: dict[str, Any],
    words: Sequence[str],
) -> None:
    """All files; report.html last, so that it stands for a complete set."""
    (folder / "report.html").unlink(missing_ok=True)
    write_csv(folder / "metrics.csv", results.images)
    write_csv(folder / "uncertainty.csv", results.uncertainty)
    for name, (figure, _) in figures.items():
        with atomic_path(folder / name) as partial:
            figure.savefig(partial, format="png", dpi=110)
    pieces = []
    for number, (name, one) in enumerate(results.examples.items(), start=1):
        for what, panels in zip(("images", "uncertainty"), one["rows"], strict=True):
            path = folder / f"example_{number}_{what}.png"
            write_overview(path, panels, one["pixel_size_nm"])
            pieces.append(picture(path, f"Example, {name}: {one['words']}; {what}"))
    plain = {
        title: [
            {key: value._asdict() if isinstance(value, Estimate) else value
             for key, value in row.items()}
            for row in rows
        ]
        for title, rows in tables.items()
    }  # fmt: skip
    write_json(folder / "summary.json", {**facts, "tables": finite(plain)})
    sections = {"Summary": [text(line) for line in words] + [table(tables["Bars"], miss="met")]}
    sections["Pictures"] = pieces
    sections["Diagrams"] = [picture(folder / name, says) for name, (_, says) in figures.items()]
    sections |= {title: [table(rows)] for title, rows in tables.items() if title != "Bars"}
    if results.left_out:
        rows = [{"stack": name, "reason": why} for name, why in results.left_out.items()]
        sections["Left out"] = [table(rows)]
    write_page(folder / "report.html", "BayesDL-SIM: evaluation", sections)


def evaluate(
    tree: DatasetTree, evaluated: Sequence[int], fitted: Sequence[int], args: argparse.Namespace
) -> None:
    """Fits the baselines, scores every stack and writes the report."""
    folder = writable_folder(args.save_path)
    folders = {OURS: args.pretrained_G} | labels(args.compare)
    posteriors = [open_posterior(path, label, args) for label, path in folders.items()]
    require_uncertainty(posteriors[0])
    validation = calibration_samples(tree, fitted, posteriors[0], args)
    stored = posteriors[0].calibration
    calibration = stored or (
        Calibration() if str(args.calibration) == "none"
        else fit(validation, posteriors[0], tree, args)
    )  # fmt: skip
    baselines = fit_baselines(
        np.concatenate([sample.mean for sample in validation]),
        np.concatenate([sample.error for sample in validation]),
    )
    pairs, left_out = list_stacks(tree, evaluated, args.max_stacks), {}
    cases = each_case(tree, pairs, "stacks to evaluate", args, left_out)
    results = evaluate_cases(cases, posteriors, baselines, calibration, args, left_out)
    if not results.samples:
        raise InputError(f"no stack could be evaluated: {' | '.join(left_out.values())}")
    tables = summarise(results, calibration, args)
    words = in_words(results, posteriors[0], calibration, args)
    facts = {
        "set": str(tree.root),
        "cells": list(evaluated),
        "calibration_cells": list(fitted),
        "left_out": left_out,
        "pixels_per_stack": args.pixels,
        "members": posteriors[0].hashes,
        "calibration": asdict(calibration),
        "calibration_stored": stored is not None,
        "baselines": {"constant_sigma": baselines.constant,
                      "intensity": baselines.intensity.intensity.tolist(),
                      "sigma": baselines.intensity.sigma.tolist()},
        "provenance": provenance(),
    }  # fmt: skip
    figures = uncertainty_diagrams(
        results.samples,
        baselines,
        calibration,
        {what: tables[f"Per {what} decile"] for what in ("intensity", "signal")},
    )
    figures |= quality_diagrams(results.images)
    write_results(folder, results, tables, figures, facts, words)
    show(tables, words, folder)
    if left_out:
        raise InputError(
            f"{len(left_out)} of {len(pairs)} stacks could not be evaluated (the others are in "
            f"{folder / 'report.html'}): {' | '.join(left_out.values())}"
        )


def in_words(
    results: Results, posterior: Posterior, calibration: Calibration, args: argparse.Namespace
) -> list[str]:
    """What was evaluated, and how to read it."""
    cells = {sample.cell for sample in results.samples}
    origin = "stored with the members" if posterior.calibration else "of this report alone"
    return [
        f"Set {args.root_dir.resolve().name}: {len(results.samples)} stacks of {len(cells)} cells. "
        f"Posterior: {len(posterior.members)} members of {args.pretrained_G}.",
        "Means are over cells; brackets are 95 % bootstrap intervals over cells. Stacks without a "
        "finite resolution are left out of its mean.",
        f"Calibration ({origin}): {'; '.join(calibration.in_words())}",
    ]


def show(tables: dict, words: Sequence[str], folder: Path) -> None:
    """What matters most, on the terminal."""
    print("\n".join(words))
    for row in tables["Image quality"]:
        scores = ", ".join(f"{name.upper()} {row[name]}" for name in ("psnr", "ssim", "nrmse"))
        print(f"   {row['method']:>24}: {scores}")
    for row in tables["Uncertainty"]:
        scores = ", ".join(f"{name} {row[name]}" for name in ("nll", "crps", "mean_z2", "ause"))
        print(f"   {row['method']:>24}: {scores}")
    for row in tables["Bars"]:
        met = "met" if row["met"] else "NOT MET"
        print(f"   {met:>7}: {row['what']}, {row['bar']}: {row['found']}")
    print(f"results in {folder / 'report.html'}")


def main(argv: list[str] | None = None) -> None:
    """Calibrates, or evaluates and reports."""
    args = parse_args(argv)
    tree = DatasetTree(args.root_dir)
    evaluated, fitted = chosen_cells(tree, args)
    if args.calibrate:
        calibrate(tree, fitted, args)
    else:
        evaluate(tree, evaluated, fitted, args)


if __name__ == "__main__":
    run_script(main)
