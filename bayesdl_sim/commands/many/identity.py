"""The identity of a result: a hash over input, options and members, and what it is a hash of."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bayesdl_sim.commands.testing.options import TestSettings
from bayesdl_sim.data.formats.content import image_files
from bayesdl_sim.data.stacks import StackEntry
from bayesdl_sim.utils.errors import require_file
from bayesdl_sim.utils.files import sha256

if TYPE_CHECKING:
    from bayesdl_sim.inference.posterior import Posterior

__all__ = ["Identity", "identity_of", "input_hash"]

# What changes a result. Where and with how many threads it is computed does not, but for rounding.
# Nor does the precision that `auto` chose by a measurement: a result has one, see
# `streaming.precision`, but two equal calls may choose two.
OPTIONS = ("target", "pixel_size_nm", "tile", "maps", "force", "format", "precision")
RECORDS = ("layout", "microscope", "numbers")


class Identity(NamedTuple):
    """The SHA-256 of everything that decides a result, and all of that, nested, as JSON has it."""

    digest: str
    record: dict[str, Any]


def input_hash(source: Path) -> str:
    """SHA-256 of a file, or of the names and contents of the images of a folder."""
    if source.is_file():
        return sha256(source)
    digest = hashlib.sha256()
    for path in sorted(image_files(source)):
        digest.update(f"{path.name}\0{sha256(path)}\n".encode())
    return digest.hexdigest()


def identity_of(
    entry: StackEntry,
    settings: TestSettings,
    posterior: Posterior,
    streamed: bool,
    hashes: Mapping[Path, str] | None = None,
) -> Identity:
    """The identity of the result that this call would make of a stack.

    Args:
        streamed: whether it is a series on a scale that is fixed beforehand.
        hashes: hashes of inputs, where they have been computed.
    """
    digest = (hashes or {}).get(entry.source)
    options = {name: getattr(settings, name) for name in OPTIONS}
    if settings.target is not None:
        options["target"] = sha256(require_file(settings.target, "ground truth"))
    if settings.microscope.otf is not None:
        options["otf"] = sha256(require_file(settings.microscope.otf, "measured OTF"))
    for name in RECORDS:
        options = asdict(getattr(settings, name)) | options
    facts = posterior.facts
    gate = posterior.gate and {name: list(row) for name, row in posterior.gate.scores.items()}
    # In the order in which a message names the first difference: what a user has set comes first.
    whole: dict[str, Any] = options | {
        "fast": posterior.is_student,
        "streamed": streamed,
        "stack": entry.name,
        "input": input_hash(entry.source) if digest is None else digest,
        "members": posterior.hashes,
        "calibration": facts["calibration"],
        "gate": gate,
        "convention": posterior.convention,
        "software": facts["provenance"],
    }
    text = json.dumps(whole, default=str)
    return Identity(hashlib.sha256(text.encode()).hexdigest(), json.loads(text))
