"""summary.png of a run folder: what both steps of a training did, from the files they wrote."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bayesdl_sim.utils.checkpoints import list_members, load_checkpoint
from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.files import atomic_path

__all__ = ["columns_of", "write_summary"]

BLUE, RED, GREY, GREEN = "tab:blue", "tab:red", "0.6", "tab:green"
INCHES, DPI = (13.0, 7.0), 110
SMOOTHED = 60  # points that a noisy curve is averaged down to

Columns = dict[str, NDArray[np.float64]]


def write_summary(folder: str | Path) -> Path:
    """Draws losses, step size and noise, members and their scores, and the tails of step 2.

    Reads step1.csv, step1_steps.csv, step2.csv and the members in the folder; what is not there
    leaves its panel empty.

    Returns:
        `folder/summary.png`.
    """
    folder = Path(folder)
    epochs, steps, tails = (
        columns_of(folder / f"{name}.csv") for name in ("step1", "step1_steps", "step2")
    )
    members = _members(folder)
    figure = Figure(INCHES, layout="constrained")
    axes = figure.subplots(2, 3)
    _losses(axes[0, 0], steps, members)
    _validation(axes[0, 1], epochs, steps, members)
    _member_scores(axes[0, 2], members)
    _step_size(axes[1, 0], steps, members)
    _noise(axes[1, 1], steps, members)
    _tails(axes[1, 2], tails)
    title = f"Training of {folder.name}, {len(members)} member(s)"
    figure.suptitle(title, parse_math=False)  # a name may hold dollar signs
    with atomic_path(folder / "summary.png") as partial:
        figure.savefig(partial, dpi=DPI)
    return folder / "summary.png"


def columns_of(path: Path) -> Columns:
    """The columns of a CSV of numbers; none of a file that is missing or holds no line."""
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {name: np.array([float(row[name]) for row in rows]) for name in (rows or [{}])[0]}


def _members(folder: Path) -> list[dict[str, Any]]:
    """The records of the members about their training; {} for those without one."""
    try:
        return [load_checkpoint(path).get("training", {}) for path in list_members(folder)]
    except InputError:
        return []


def _losses(axes: Axes, steps: Columns, members: list[dict[str, Any]]) -> None:
    axes.set(title="Step 1: energy of the training patches", xlabel="step", ylabel="energy")
    if steps:
        axes.plot(steps["step"], steps["loss"], color=BLUE, alpha=0.25, linewidth=0.5)
        size = max(1, len(steps["loss"]) // SMOOTHED)
        step, loss = (_averaged(steps[name], size) for name in ("step", "loss"))
        axes.plot(step, loss, color=BLUE, label="mean of neighbours")
        if (steps["loss"] > 0).all():
            axes.set_yscale("log")
        _mark(axes, members)


def _averaged(values: NDArray, size: int) -> NDArray:
    """Means of `size` neighbours; a shorter rest is left out."""
    return values[: len(values) // size * size].reshape(-1, size).mean(axis=1)


def _validation(axes: Axes, epochs: Columns, steps: Columns, members: list[dict[str, Any]]) -> None:
    axes.set(title="Step 1: validation fields, every epoch", xlabel="step", ylabel="PSNR, dB")
    if not (epochs and steps):
        return
    step = (epochs["epoch"] + 1) * (steps["step"][-1] + 1) / (epochs["epoch"][-1] + 1)
    (psnr,) = axes.plot(step, epochs["psnr"], "o-", markersize=3, color=BLUE, label="PSNR")
    right = axes.twinx()
    right.set_ylabel("SSIM")
    (ssim,) = right.plot(step, epochs["ssim"], "s--", markersize=3, color=GREEN, label="SSIM")
    _mark(axes, members)
    axes.legend(handles=[psnr, ssim], loc="lower right")


def _step_size(axes: Axes, steps: Columns, members: list[dict[str, Any]]) -> None:
    axes.set(title="Step 1: step size (Adam's, then the sampler's)", xlabel="step", ylabel="lr")
    if steps:
        axes.semilogy(steps["step"], np.maximum(steps["lr"], 1e-12), color=BLUE)
        _mark(axes, members)


def _noise(axes: Axes, steps: Columns, members: list[dict[str, Any]]) -> None:
    axes.set(title="Step 1: noise", xlabel="step", ylabel="temperature (released: on or off)")
    if steps:
        axes.fill_between(steps["step"], steps["noise"], step="mid", color=RED, alpha=0.4)
        axes.set_ylim(0, 1.3 * max(steps["noise"].max(), 1.0))  # room for the legend
        _mark(axes, members)


def _mark(axes: Axes, members: list[dict[str, Any]]) -> None:
    """A line where each member was collected."""
    places = sorted({member["step"] for member in members if "step" in member})
    for place in places:
        label = "member collected" if place == places[0] else None
        axes.axvline(place, color=GREY, linestyle=":", linewidth=1, label=label)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="upper right")


def _member_scores(axes: Axes, members: list[dict[str, Any]]) -> None:
    axes.set(title="Members on validation fields", xlabel="member", ylabel="PSNR, dB")
    scores = [member.get("psnr", np.nan) for member in members]
    if not np.isfinite(scores).any():
        return
    number = np.arange(1, len(scores) + 1)
    axes.plot(number, scores, "o", color=BLUE)
    axes.set_xticks(number)
    axes.set_xlim(0.4, len(scores) + 0.6)
    # Members are alike: the axis spans a tenth of a decibel at least, so that noise stays small.
    low, high = np.nanmin(scores), np.nanmax(scores)
    margin = max(0.05, 0.15 * (high - low))
    axes.set_ylim(low - margin, high + margin)
    axes.grid(axis="y", alpha=0.3)


def _tails(axes: Axes, tails: Columns) -> None:
    axes.set(title="Step 2: tails, a curve per member", xlabel="epoch", ylabel="nll")
    if not tails:
        axes.text(0.5, 0.5, "not yet", transform=axes.transAxes, ha="center", color=GREY)
        return
    for member in np.unique(tails["member"]):
        rows_of_member = tails["member"] == member
        epoch = np.arange(1, rows_of_member.sum() + 1)
        labels = ("training patches", "validation fields") if member == 1 else (None, None)
        axes.plot(epoch, tails["nll"][rows_of_member], ".-", color=BLUE, alpha=0.6, label=labels[0])
        if "validation_nll" in tails:
            axes.plot(
                epoch,
                tails["validation_nll"][rows_of_member],
                ".--",
                color=RED,
                alpha=0.6,
                label=labels[1],
            )
    axes.legend()
