"""`calibration.json`: the calibrations of the first 1, 2, ..., K members, beside the members.

It names the members by their SHA-256, since its numbers are true of these members only. Fewer
members are another posterior, whose spread is not the same, so each number of them has its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bayesdl_sim.bayes.calibration.image_features import TERMS, FeatureScale, ImageFeatures
from bayesdl_sim.bayes.calibration.recalibration import Calibration
from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.files import read_json, write_json
from bayesdl_sim.utils.schema import (
    Misfit,
    anything,
    checked,
    list_of,
    mapping_of,
    maybe,
    number,
    optional,
    record,
    text,
    whole,
)

__all__ = ["CALIBRATION_FILE", "find_calibration", "read_calibrations", "write_calibrations"]

CALIBRATION_FILE = "calibration.json"
FORMAT = "BayesDL-SIM calibration"
VERSION = 7  # 3 to 6 had a factor by other features, of which 3 had no weights of the structure
NESTED = (3, 4, 5, 6, VERSION)
OLDER = (1, 2)  # held one calibration, of all members; the first had no factor by features
LARGEST_EXPONENT = 100.0  # e^100 is no factor of a standard deviation

_NUMBER = number()
_FEATURES = list_of(_NUMBER, length=TERMS - 1)
_WEIGHTS = list_of(_NUMBER, length=TERMS)
_CONFORMAL = record(
    {
        "alpha": number(above=0, below=1),
        "factor": maybe(number(least=0)),
        "cells_needed": whole(least=0),
    }
)
_FITTED_ON = record(
    {
        "cells": whole(least=1),
        "pixels": whole(least=1),
        "nll_held_out": optional(record({"without": _NUMBER, "with_it": _NUMBER})),
        "interval_error_held_out": optional(record({"without": _NUMBER, "with_it": _NUMBER})),
        "quantile_calibration_error_held_out": optional(
            record({"scale_only": _NUMBER, "with_map": _NUMBER})
        ),
    }
)


def _rising(value: Any, place: str) -> list[float]:
    """A list of at least two probabilities from 0 to 1 that never fall."""
    values = list_of(number(least=0, most=1), least=2)(value, place)
    if any(b < a for a, b in zip(values, values[1:], strict=False)):
        raise Misfit(place, "numbers that never fall", "numbers that do")
    return values


def _feature_scale(value: Any, place: str) -> FeatureScale:
    """A scale whose factors are finite and positive for every pixel of every image."""
    lit = optional(maybe(_WEIGHTS))
    kinds = {"weights": _WEIGHTS, "low": _FEATURES, "high": _FEATURES, "lit_weights": lit}
    stored = record(kinds)(value, place)
    low, high = (ImageFeatures(*stored[name]) for name in ("low", "high"))
    lit = stored.get("lit_weights")
    for constant, *slopes in (stored["weights"], lit or stored["weights"]):
        exponents = [
            w * end for features in (low, high) for w, end in zip(slopes, features, strict=True)
        ]
        if max(map(abs, [constant, *exponents])) > LARGEST_EXPONENT:
            raise Misfit(place, "weights that give a usual factor", "ones that do not")
    return FeatureScale(tuple(stored["weights"]), low, high, None if lit is None else tuple(lit))


def _probability_map(value: Any, place: str) -> dict[str, list[float]]:
    stored = record({"expected": _rising, "observed": _rising})(value, place)
    if len(stored["expected"]) != len(stored["observed"]):
        raise Misfit(place, "as many observed as expected probabilities", "other numbers of them")
    return stored


_ENTRY = {
    "scale": number(above=0),
    "probability_map": maybe(_probability_map),
    "conformal": list_of(_CONFORMAL),
}


def write_calibrations(path: str | Path, calibrations: Sequence[Calibration]) -> None:
    """Writes the calibrations of the first members, whole or not at all.

    Args:
        calibrations: by rising number of members; each belongs to the first of the last one's
            members.

    Raises:
        InputError: members that are not nested in this way.
    """
    members = list(calibrations[-1].members.items())
    for calibration in calibrations:
        count = len(calibration.members)
        if list(calibration.members.items()) != members[:count]:
            raise InputError(f"expected a calibration of the first {count} of the members")
    shared = calibrations[-1].fitted_on.items()
    shared = {
        key: value
        for key, value in shared
        if all(key in c.fitted_on and c.fitted_on[key] == value for c in calibrations)
    }
    write_json(
        path,
        {
            "format": FORMAT,
            "version": VERSION,
            "members": [{"file": name, "sha256": digest} for name, digest in members],
            "fitted_on": shared,
            "by_members": [_entry(calibration, shared) for calibration in calibrations],
        },
    )


def _entry(calibration: Calibration, shared: Mapping[str, Any]) -> dict[str, Any]:
    entry = asdict(calibration) | {"members": len(calibration.members)}
    entry["fitted_on"] = {k: v for k, v in calibration.fitted_on.items() if k not in shared}
    return entry


def read_calibrations(path: str | Path) -> list[Calibration]:
    """Reads the calibrations back; a file of an older version holds a single one.

    Raises:
        InputError: missing or damaged file, another format, or numbers that make no sense.
    """
    payload = read_json(path)
    if payload.get("format") != FORMAT or payload.get("version") not in (*OLDER, *NESTED):
        raise InputError(
            f"{path}: expected a {FORMAT!r} of version {VERSION}, found {payload.get('format')!r} "
            f"{payload.get('version')!r}; make it again with calibrate.py"
        )
    try:
        if payload["version"] in OLDER:
            return [_older(payload, path)]
        return _nested(payload, path)
    except InputError as error:
        raise InputError(f"{error} with calibrate.py") from None


def _nested(payload: dict[str, Any], path: str | Path) -> list[Calibration]:
    member = record({"file": text(), "sha256": text()})
    features = maybe(_feature_scale) if payload["version"] == VERSION else anything()
    entry = record(
        {
            **_ENTRY,
            "members": whole(least=1),
            "by_features": optional(features),
            "fitted_on": mapping_of(anything()),
        }
    )
    kinds = {
        "members": list_of(member, least=1),
        "fitted_on": mapping_of(anything()),
        "by_members": list_of(entry, least=1),
    }
    content = checked(payload, kinds, path, "calibration")
    members = [(item["file"], item["sha256"]) for item in content["members"]]
    calibrations = []
    for item in content["by_members"]:
        _refuse_other_features(payload["version"], item.get("by_features"), path)
        facts = {"fitted_on": content["fitted_on"] | item["fitted_on"]}
        facts = checked(facts, {"fitted_on": _FITTED_ON}, path, "calibration")
        first_members = dict(members[: item["members"]])
        calibrations.append(_calibration(item | facts, item.get("by_features"), first_members))
    return calibrations


def _older(payload: dict[str, Any], path: str | Path) -> Calibration:
    kinds = {
        **_ENTRY,
        "members": mapping_of(text()),
        "by_look": optional(anything()),  # as the factor by features was called
        "fitted_on": _FITTED_ON,
    }
    content = checked(payload, kinds, path, "calibration")
    _refuse_other_features(payload["version"], content.get("by_look"), path)
    return _calibration(content, None, content["members"])


def _refuse_other_features(version: int, by_features: object | None, path: str | Path) -> None:
    """`InputError` for weights of features that an earlier version measured."""
    if version < VERSION and by_features is not None:
        raise InputError(
            f"{path}: its factor by features of the image is that of version {version}, which "
            "measured others; make it again"
        )


def _calibration(
    entry: Mapping[str, Any], by_features: FeatureScale | None, members: dict[str, str]
) -> Calibration:
    return Calibration(
        scale=entry["scale"],
        by_features=by_features,
        probability_map=entry["probability_map"],
        conformal=entry["conformal"],
        members=members,
        fitted_on=entry["fitted_on"],
    )


def find_calibration(
    folder: str | Path, named: str | Path | None, members: Mapping[str, str]
) -> tuple[Calibration | None, str]:
    """The calibration to apply to the members of a folder, if there is one, and a line about it.

    Args:
        folder: folder of the members; its `calibration.json` is taken where no other is named.
        named: another file, or "none".
        members: file name -> SHA-256 of the members in use.

    Raises:
        InputError: the named file cannot be used, or the folder's is damaged. One in the folder
            that was fitted for other members is not applied, which the line states.
    """
    if named is not None and str(named) == "none":
        return None, "calibration: none, as asked"
    path = Path(folder) / CALIBRATION_FILE if named is None else Path(named)
    if named is None and not path.is_file():
        return None, "calibration: none beside the members (calibrate.py fits one)"
    calibrations = read_calibrations(path)
    calibration = next((c for c in calibrations if c.members == dict(members)), None)
    if calibration is None:
        reason = _other_members(path, calibrations, members)
        if named is not None:
            raise InputError(reason)
        return None, f"WARNING: uncertainties are not calibrated: {reason}"
    words = f"calibration: {path}, standard deviations x {calibration.scale:.3f}"
    if calibration.by_features is not None:
        words += " and a factor by features of the image"
    return calibration, words


def _other_members(
    path: Path, calibrations: Sequence[Calibration], members: Mapping[str, str]
) -> str:
    """Why no calibration of a file is true of these members."""
    known = calibrations[-1].members
    odd = sorted(set(members.items()) ^ set(known.items()))
    name = odd[0][0] if odd else next(iter(members), "none")
    counts = [len(c.members) for c in calibrations]
    numbers = f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else f"{counts[0]}"
    return (
        f"{path} was fitted for {numbers} other member(s) than the {len(members)} in use "
        f"({name} differs, or is shown the field in another pose): copy posterior.json if it is "
        "missing beside the members, or fit it again with calibrate.py"
    )
