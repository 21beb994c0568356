"""Does the stated uncertainty predict where, and in which image, the errors are?

    python -m figures.error_estimation --cells 12 --levels 3 --size 96 --tables runs/benchmarks

Simulated test cells. Every second cell fits the baseline, an error that depends on the intensity of
the super-resolved pixel alone; the others are judged. Predicted and true errors are compared pixel
by pixel (bins of equal size, and the rank correlation within each image) and image by image (root
mean square). Differences to the baseline come with a 95 % bootstrap interval over cells.
"""

import argparse
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.stats import spearmanr
from tqdm import tqdm

from bayesdl_sim.benchmarks.shared.common import open_posterior, posterior_of
from bayesdl_sim.benchmarks.shared.console import at_least
from bayesdl_sim.benchmarks.uncertainty import normalised_targets
from bayesdl_sim.evaluation.report.tables import write_tables
from bayesdl_sim.evaluation.scenes import Scene, simulated_cells
from bayesdl_sim.figures.common import options, save, sr_scale
from bayesdl_sim.utils.errors import InputError, run_script

__all__ = ["Image", "draw", "intensity_baseline", "main", "scores", "table"]

OURS, BASELINE = "BayesDL-SIM, total", "intensity alone"
BINS = 20  # of equal numbers of pixels
RESAMPLES = 1000


class Image(NamedTuple):
    """One judged image: its cell, and flat arrays in normalised SR intensity."""

    cell: int
    intensity: NDArray
    sigma: NDArray
    error: NDArray


def images_of(scene: Scene, cell: int, prediction: Any) -> list[Image]:
    """The levels of a scene whose target is known in the units of the prediction."""
    images = []
    for level, target in enumerate(normalised_targets(scene)):
        if target is None:
            continue
        mean, total = prediction.mean[level], prediction.total[level]
        scale = sr_scale(mean)
        maps = (scale.apply(mean), total / scale.scale, (target - mean) / scale.scale)
        images.append(Image(cell, *(image.numpy().ravel().astype(np.float64) for image in maps)))
    return images


def intensity_baseline(images: Sequence[Image]) -> Callable[[NDArray], NDArray]:
    """Root mean square error as a function of the intensity, interpolated between bins."""
    intensity = np.concatenate([image.intensity for image in images])
    error = np.concatenate([image.error for image in images])
    groups = np.array_split(np.argsort(intensity, kind="stable"), BINS)
    centres = [intensity[group].mean() for group in groups]
    sizes = [np.sqrt(np.mean(error[group] ** 2)) for group in groups]
    return lambda values: np.interp(values, centres, sizes)


def scores(image: Image, sigma: NDArray) -> dict[str, float]:
    """How well a map of standard deviations predicts the errors of one image."""
    return {
        "rank": float(spearmanr(sigma, np.abs(image.error)).statistic),
        "predicted": float(np.sqrt(np.mean(sigma**2))),
        "true": float(np.sqrt(np.mean(image.error**2))),
    }


def table(records: dict[str, list[dict[str, float]]], cells: NDArray, rng: Any) -> list[dict]:
    """One row per predictor, then the difference with its bootstrap interval over cells."""
    of_pixels = {name: np.array([r["rank"] for r in rows]) for name, rows in records.items()}
    pairs = {
        name: np.array([(r["predicted"], r["true"]) for r in rows])
        for name, rows in records.items()
    }

    def correlations(chosen: NDArray, name: str) -> NDArray:
        """Rank correlation of the pixels and of the images, over the chosen images."""
        of_images = spearmanr(*pairs[name][chosen].T).statistic
        return np.array([of_pixels[name][chosen].mean(), of_images])

    everything = np.arange(len(cells))
    of_all = {name: correlations(everything, name) for name in records}
    names = np.unique(cells)
    differences = []
    for _ in range(RESAMPLES):
        picked = rng.choice(names, len(names))
        chosen = np.concatenate([np.flatnonzero(cells == cell) for cell in picked])
        if len(np.unique(chosen)) < 2:  # one image has no rank among others
            continue
        differences.append(correlations(chosen, OURS) - correlations(chosen, BASELINE))
    low, high = np.percentile(differences, (2.5, 97.5), axis=0)
    columns = ("rank correlation of pixels", "rank correlation of images")
    rows: list[dict] = [
        {"predictor": name} | dict(zip(columns, values.tolist(), strict=True))
        for name, values in of_all.items()
    ]
    gain = of_all[OURS] - of_all[BASELINE]
    interval = [f"{g:+.3f} ({a:+.3f} to {b:+.3f})" for g, a, b in zip(gain, low, high, strict=True)]
    return [*rows, {"predictor": "difference"} | dict(zip(columns, interval, strict=True))]


def binned(images: Sequence[Image], sigmas: Sequence[NDArray]) -> tuple[NDArray, NDArray]:
    """Predicted and true root mean square error in bins of rising sigma, over all pixels."""
    sigma, error = np.concatenate(sigmas), np.concatenate([image.error for image in images])
    groups = np.array_split(np.argsort(sigma, kind="stable"), BINS)
    return tuple(
        np.array([np.sqrt(np.mean(values[group] ** 2)) for group in groups])
        for values in (sigma, error)
    )


def draw(bins: dict[str, tuple], records: dict[str, list[dict[str, float]]]) -> Figure:
    """Left: bins of pixels; right: images. The line is where the prediction is right."""
    figure = Figure(figsize=(10, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name, colour in zip(records, ("tab:red", "tab:gray"), strict=True):
        left.plot(*bins[name], "o-", color=colour, markersize=4, label=name)
        places = [[row[side] for row in records[name]] for side in ("predicted", "true")]
        right.plot(*places, "o", color=colour, markersize=4, alpha=0.7, label=name)
    for axes, title in ((left, f"pixels, {BINS} bins"), (right, "images")):
        limits = (*axes.get_xlim(), *axes.get_ylim())
        ends = (max(min(limits), 0.0), max(limits))
        axes.plot(ends, ends, color="black", linewidth=0.8)
        axes.set(title=title, xlabel="predicted error (rms)", ylabel="true error (rms)")
        axes.set(xlim=ends, ylim=ends, aspect="equal")
        axes.grid(alpha=0.3)
    left.legend(frameon=False)
    return figure


def judged(
    fitted: Sequence[Image], tested: Sequence[Image]
) -> tuple[dict[str, tuple], dict[str, list[dict[str, float]]]]:
    """Bins and scores of both predictors on the tested images."""
    baseline = intensity_baseline(fitted)
    sigmas = {
        OURS: [image.sigma for image in tested],
        BASELINE: [baseline(image.intensity) for image in tested],
    }
    bins = {name: binned(tested, maps) for name, maps in sigmas.items()}
    records = {
        name: [scores(image, sigma) for image, sigma in zip(tested, maps, strict=True)]
        for name, maps in sigmas.items()
    }
    return bins, records


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = options("error_estimation", "Predicted against true errors, beside intensity alone.")
    parser.add_argument("--cells", type=int, default=24, help="test cells; every second is judged")
    parser.add_argument("--levels", type=int, default=3, help="signal levels, 2-400 e-/px")
    parser.add_argument("--size", type=int, default=112, help="raw field, pixels per side")
    parser.add_argument("--seed", type=int, default=20263, help="not that of a training set")
    args = parser.parse_args(argv)
    at_least(args, cells=4, levels=1, size=32, seed=0)
    return args


def predicted(args: argparse.Namespace) -> Iterable[Image]:
    """All images of the test cells, with their predictions."""
    posterior = open_posterior(args)
    print("\n".join(posterior.notes))
    cells = simulated_cells(args.seed, args.cells, args.levels, args.size)
    for number, scene in enumerate(tqdm(cells, "test cells", args.cells)):
        yield from images_of(scene, number, posterior_of(scene, posterior, calibrated=True))


def main(argv: list[str] | None = None) -> None:
    """Predicts the cells, prints the rank correlations and writes error_estimation.png."""
    args = parse_args(argv)
    images = list(predicted(args))
    tested = [image for image in images if image.cell % 2]
    fitted = [image for image in images if not image.cell % 2]
    if len({image.cell for image in tested}) < 2 or not fitted:
        raise InputError("too few cells with a target in the units of their frames: use more")
    bins, records = judged(fitted, tested)
    cells = np.array([image.cell for image in tested])
    rows = table(records, cells, np.random.default_rng(args.seed))
    facts = {name: getattr(args, name) for name in ("cells", "levels", "size", "seed")}
    write_tables("error_estimation", {"Error estimation": rows}, args.tables, facts)
    save(draw(bins, records), args.save_path / "error_estimation.png")


if __name__ == "__main__":
    run_script(main)
