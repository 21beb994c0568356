"""The options of `test` for many stacks, long series and several processes."""

from __future__ import annotations

from typing import Any

from bayesdl_sim.utils.errors import InputError

__all__ = ["add_many_options", "check_sharing"]


def add_many_options(group: Any) -> None:
    """Adds them to a group of the command line."""
    add = group.add_argument
    add("--again", action="store_true", help="make results that are finished once more")
    add(
        "--stream",
        choices=["auto", "always", "never"],
        default="auto",
        help="read, reconstruct and write a series time point by time point (default %(default)s: "
        "from 17 time points or 256 MB of frames on)",
    )
    add(
        "--format",
        choices=["tiff", "zarr"],
        default="tiff",
        help="of the maps: TIFF, or OME-Zarr for what is too large for it (default %(default)s)",
    )
    add(
        "--shard",
        metavar="I/N",
        help="do part I of N only, stacks or time points; the call that is last finishes the rest",
    )
    add("--workers", type=int, metavar="N", help="share the work between N processes (needs dask)")
    add(
        "--scheduler",
        metavar="ADDRESS",
        help="let the workers of a scheduler of dask do it, such as tcp://10.0.0.1:8786",
    )


def check_sharing(
    workers: int | None, scheduler: str | None, shard: str | None, target: Any, again: bool
) -> None:
    """`InputError` for ways to share the work that exclude each other."""
    ways = {"workers": workers, "scheduler": scheduler, "shard": shard}
    names = [name for name, value in ways.items() if value is not None]
    if len(names) > 1:
        raise InputError(f"{' and '.join(names)}: expected one way to share the work")
    if workers is not None and workers < 1:
        raise InputError(f"workers: expected 1 or more, found {workers}")
    if names and target is not None:
        raise InputError(f"{names[0]}: a single stack with a target cannot be shared; leave it out")
    if shard is not None and again:
        raise InputError(
            "shard and again: a part cannot tell whether the others have started again; remove "
            "the results instead"
        )
