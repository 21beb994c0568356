"""The precision of a series: chosen by the process that begins it, taken over by all others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bayesdl_sim.models.members import hashes_of, open_members
from bayesdl_sim.utils.devices import choose_precision
from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.files import read_json, write_json

if TYPE_CHECKING:
    from bayesdl_sim.inference.posterior import Posterior

__all__ = ["in_precision", "with_precision_of"]

PRECISION = "precision.json"


def with_precision_of(partial: Path, posterior: Posterior) -> Posterior:
    """The posterior in the precision in which the unfinished series in a folder was begun.

    Which one is faster is found by a measurement, so that it may differ from process to process.
    Where no process has begun, the precision of this posterior is the one of the series from now
    on.
    """
    path = partial / PRECISION
    if not path.exists():
        write_json(path, {"precision": posterior.facts["run"]["precision"]})
    return in_precision(posterior, read_json(path)["precision"])


def in_precision(posterior: Posterior, precision: str) -> Posterior:
    """The same members in fp32 or bf16; the posterior itself where that is its precision.

    Raises:
        InputError: the files of the members have changed since they were opened.
    """
    run = posterior.facts["run"]
    if run["precision"] == precision:
        return posterior
    dtype = choose_precision(precision, posterior.device)
    count = len(posterior.members)
    opened = open_members(posterior.folder, posterior.device, dtype, posterior.tile, count)
    if hashes_of(member.facts for member in opened) != posterior.hashes:
        raise InputError(f"{posterior.folder}: its members were replaced while they were in use")
    return replace(
        posterior,
        functions=[member.function for member in opened],
        facts=posterior.facts | {"run": run | {"precision": precision}},
    )
