"""Live cells: is a change between two frames real? A simulated movie, whose truth is known.

    python -m figures.live --frames 6 --size 112 --signal_e 60

Patches of an F-actin network move or are rebuilt, the rest stands still. All frames are
reconstructed with the same members; a change is marked where it exceeds its credible interval (see
`bayes.change`). Printed: how steady the static parts are, which share of their pixels is marked
although nothing changed, and which share of the changed pixels is found. Errors that both frames
share make the stated interval of a change too wide; the last rows scale it by a factor per level,
so that on the static parts of other movies no more than the nominal share is marked.
"""

import argparse
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor
from tqdm import tqdm

from bayesdl_sim.bayes.change import Change, marked, predict_series
from bayesdl_sim.bayes.credibility import interval
from bayesdl_sim.bayes.likelihoods import interval_half_width
from bayesdl_sim.bayes.prediction import Prediction
from bayesdl_sim.benchmarks.scenes.movie import Movie, simulate_movie
from bayesdl_sim.benchmarks.shared.common import open_posterior
from bayesdl_sim.benchmarks.shared.console import at_least
from bayesdl_sim.benchmarks.shared.panels import add_scale_bar
from bayesdl_sim.data.normalise import normalisation_of
from bayesdl_sim.evaluation.report.tables import write_tables
from bayesdl_sim.figures.common import lit_pixels, options, save, sr_scale
from bayesdl_sim.inference.posterior import Posterior
from bayesdl_sim.metrics.images import pearson
from bayesdl_sim.physics.reconstruction.wiener import wide_field_upsampled
from bayesdl_sim.utils.errors import InputError, run_script
from bayesdl_sim.utils.report.contrast import display_limits

__all__ = ["Reconstructed", "consistency", "draw", "main", "marks", "reconstruct"]

LEVELS = (0.9, 0.95, 0.99)
SHOWN_LEVEL = 0.95
FOUND = 0.1  # share of its changed pixels that must be marked for an event to count as found


class Reconstructed(NamedTuple):
    """A movie with its prediction and changes, in normalised SR intensity of the whole movie."""

    movie: Movie
    series: Prediction
    change: Change


def reconstruct(movie: Movie, posterior: Posterior) -> Reconstructed:
    """All time points with the same members, on one intensity scale."""
    norms = [normalisation_of(stack) for stack in movie.raw]
    frames, functions = posterior.shown(movie.raw).to(posterior.device), posterior.functions
    counts = predict_series(functions, frames, [n.scale for n in norms], [n.low for n in norms])
    series, change = (type(maps)(*(image[:, 0].float().cpu() for image in maps)) for maps in counts)
    scale = sr_scale(series.mean)
    deviations = (image / scale.scale for image in series[1:])
    return Reconstructed(
        movie,
        Prediction(scale.apply(series.mean), *deviations),
        Change(*(image / scale.scale for image in change)),
    )


def static_and_lit(reconstruction: Reconstructed) -> Tensor:
    """(T - 1, 2H, 2W): pixels of the structure that stand still from one frame to the next."""
    return reconstruction.movie.static & lit_pixels(reconstruction.series.mean[:-1])


def consistency(reconstruction: Reconstructed) -> list[dict[str, Any]]:
    """How steady the static structure is from frame to frame, beside wide field."""
    still = static_and_lit(reconstruction).numpy()
    wide = np.stack([wide_field_upsampled(stack).numpy() for stack in reconstruction.movie.raw])
    wide = (wide - wide.min()) / np.ptp(wide)
    rows = []
    for name, images in {
        "BayesDL-SIM": reconstruction.series.mean.numpy(),
        "wide field": wide,
    }.items():
        before, after = images[:-1][still], images[1:][still]
        row = {"method": name, "rms change": float(np.sqrt(np.mean((after - before) ** 2)))}
        row["correlation"] = pearson(before[None], after[None])
        rows.append(row)
    twice = math.sqrt(2) * rms(reconstruction.series.epistemic[1:][still])
    stated = {
        "stated, total": rms(reconstruction.change.total[still]),
        "stated, epistemic": rms(reconstruction.change.epistemic[still]),
        "epistemic, if members were not shared": twice,
    }
    return rows + [{"method": k, "rms change": v, "correlation": ""} for k, v in stated.items()]


def rms(values: Tensor) -> float:
    """Root mean square."""
    return float(values.square().mean().sqrt())


def factor_of(others: Sequence[Reconstructed], level: float) -> float:
    """The factor on the interval of a change that the static structure of movies requires.

    Of each movie, the quantile of `|difference| / total` at this level, over that of a standard
    normal; then the largest. Of n + 1 exchangeable movies, the new one needs a larger factor with
    a probability of `1 / (n + 1)`.
    """
    factors = []
    for reconstruction in others:
        still = static_and_lit(reconstruction)
        z = (reconstruction.change.difference[still] / reconstruction.change.total[still]).abs()
        factors.append(float(np.quantile(z.numpy(), level)) / interval_half_width(level))
    return max(factors)


def marks(reconstruction: Reconstructed, factors: dict[float, float]) -> list[dict[str, Any]]:
    """Per level: false marks on the static structure, and the share of true changes that is found.

    Args:
        factors: level -> factor on the interval; 1 is the interval as stated.
    """
    still, changed = static_and_lit(reconstruction), reconstruction.movie.changed
    events = [
        (step, mask)
        for step, pixels in enumerate(changed)
        for mask in pixels & reconstruction.movie.patches
        if mask.any()
    ]
    rows = []
    for level, factor in factors.items():
        hits = marked(reconstruction.change.difference, factor * reconstruction.change.total, level)
        shares = [float(hits[step][mask].float().mean()) for step, mask in events]
        rows.append(
            {
                "interval": f"{level:.0%}" + (f" times {factor:.2f}" if factor != 1 else ""),
                "promised false marks": 1 - level,
                "false marks": float(hits[still].float().mean()),
                "changed pixels found": float(hits[changed].float().mean()),
                "changes found": f"{sum(share >= FOUND for share in shares)} of {len(events)}",
            }
        )
    return rows


def draw(reconstruction: Reconstructed, factor: float) -> Figure:
    """The step with most changes: before, after, truth, marks; and two places over time."""
    movie, series, change = reconstruction
    step = int(movie.changed.float().mean(dim=(1, 2)).argmax())
    hits = marked(change.difference, factor * change.total, SHOWN_LEVEL)[step]
    figure = Figure(figsize=(15, 7.2), layout="constrained")
    top, bottom = figure.subfigures(2, 1, height_ratios=(1.25, 1))
    truth = movie.target.diff(dim=0)[step]
    marked_change = torch.where(hits, change.difference[step], 0.0)
    limits = display_limits(series.mean[step : step + 2].numpy())
    panels = {
        f"SR, frame {step + 1}": (series.mean[step], "magma", limits),
        f"SR, frame {step + 2}": (series.mean[step + 1], "magma", limits),
        "true change": (truth, "RdBu_r", (-0.3, 0.3)),
        f"change beyond its {SHOWN_LEVEL:.0%} interval": (marked_change, "RdBu_r", (-0.3, 0.3)),
    }
    for axes, (title, (image, cmap, limits)) in zip(
        top.subplots(1, len(panels)), panels.items(), strict=True
    ):
        shown = axes.imshow(image.numpy(), cmap=cmap, vmin=limits[0], vmax=limits[1])
        axes.set(title=title)
        axes.set_axis_off()
        top.colorbar(shown, ax=axes, shrink=0.7)
        for patch in movie.patches:
            axes.contour(patch.numpy(), levels=[0.5], colors="tab:green", linewidths=1)
        add_scale_bar(axes, tuple(image.shape), movie.pixel_size_nm, 10.0)
    _draw_times(bottom.subplots(1, 2), reconstruction, hits, step)
    return figure


def _draw_times(panels: Any, reconstruction: Reconstructed, hits: Tensor, step: int) -> None:
    """Intensity with its 90 % interval over time: where a change was marked, and where none is."""
    movie, series, change = reconstruction
    strongest = torch.where(hits & movie.changed[step], change.difference[step].abs(), 0.0)
    outside = ~movie.patches.any(dim=0) & movie.static.all(dim=0)
    brightest = torch.where(outside, series.mean.mean(dim=0), 0.0)
    for axes, guide, title in zip(
        panels,
        (strongest, brightest),
        ("a pixel that changes", "a pixel that does not"),
        strict=True,
    ):
        row, column = divmod(int(guide.argmax()), guide.shape[1])
        mean, total = series.mean[:, row, column], series.total[:, row, column]
        lower, upper = (end.numpy() for end in interval(mean, total, 0.9))
        frames = np.arange(1, len(mean) + 1)
        band = axes.fill_between(frames, lower, upper, color="tab:red", alpha=0.2, linewidth=0)
        band.set_label("90 % interval of each frame")
        axes.plot(frames, mean.numpy(), "o-", color="tab:red", label="super-resolved")
        axes.set(title=title, xlabel="frame", ylabel="normalised SR intensity", ylim=(0, None))
        axes.set_xticks(frames)
        axes.grid(alpha=0.3)
        axes.legend(frameon=False, loc="lower right")


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = options("live", "Changes in a simulated live movie, marked beyond their interval.")
    parser.add_argument("--frames", type=int, default=6, help="time points")
    parser.add_argument("--size", type=int, default=112, help="raw field, pixels per side")
    parser.add_argument("--signal_e", type=float, default=60.0, help="electrons per lit pixel")
    parser.add_argument("--others", type=int, default=4, help="movies that fit the factors")
    parser.add_argument("--seed", type=int, default=20265, help="the next ones fit the factors")
    args = parser.parse_args(argv)
    at_least(args, frames=3, size=48, others=1, seed=0)
    if not args.signal_e > 0:
        raise InputError(f"--signal_e: expected a positive signal, found {args.signal_e}")
    return args


def main(argv: list[str] | None = None) -> None:
    """Reconstructs the movie and another one for the scale; prints, and writes live.png."""
    args = parse_args(argv)
    posterior = open_posterior(args)
    reconstruction, *others = (
        reconstruct(simulate_movie(args.frames, args.size, args.signal_e, seed), posterior)
        for seed in tqdm(range(args.seed, args.seed + 1 + args.others), "movies")
    )
    factors = {level: factor_of(others, level) for level in LEVELS}
    tables = {
        "Static structure from frame to frame": consistency(reconstruction),
        "Marked changes, interval as stated": marks(reconstruction, dict.fromkeys(LEVELS, 1.0)),
        "Marked changes, interval scaled on other movies": marks(reconstruction, factors),
    }
    facts = {name: getattr(args, name) for name in ("frames", "size", "signal_e", "seed")}
    write_tables("live", tables, args.tables, facts | {"factors": factors})
    save(draw(reconstruction, factors[SHOWN_LEVEL]), args.save_path / "live.png")


if __name__ == "__main__":
    run_script(main)
