"""Calibrated probability of occupation: a map of the members' own one, by the density of the field.

One map for all fields is wrong for most of them: where few fluorophores are, the same probability
of the members means a smaller chance than where many are.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit

from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.files import read_json, write_json
from bayesdl_sim.utils.schema import (
    Misfit,
    anything,
    checked,
    list_of,
    mapping_of,
    number,
    record,
    text,
)

__all__ = [
    "KNEE",
    "LEAST_SLOPE",
    "FieldDensity",
    "OccupationMap",
    "WEIGHTS",
    "StoredMap",
    "density_of_field",
    "logits",
    "read_map",
    "terms",
    "write_map",
]

FORMAT = "BayesDL-SIM DLBI calibration"
VERSION = 2  # 1 was a table of probabilities for all fields, without a version
WEIGHTS = ("constant", "low", "high", "ratio", "share", "lit")
# Logit of the members' probability (0.25 %) where the two slopes of the map meet.
KNEE = -6.0
LEAST_SLOPE = 0.05  # of both: the map rises everywhere, also where hardly any scene had pixels
LARGEST_WEIGHT = 50.0  # of a usable map; beyond it every probability would be 0 or 1
SMALLEST = 1e-9  # probability; float32 cannot tell smaller distances from 1, and none matters
LONGEST_NAME = 300  # characters of a file's name or hash


class FieldDensity(NamedTuple):
    """How densely a field is labelled, as far as the members' prediction says.

    Attributes:
        ratio: logarithm of the number of occupied pixels that the predicted density implies, over
            the sum of the members' probabilities.
        share: logarithm of the share of occupied pixels that the predicted density implies.
        lit: logarithm of the mean probability of the members where the field is lit, `sum p^2 /
            sum p`.
    """

    ratio: float
    share: float
    lit: float


@dataclass(frozen=True, kw_only=True)
class OccupationMap:
    """Calibrated probability q of a pixel from the members' own p, rising with p.

        logit q = constant + low min(x, KNEE) + high max(x, KNEE) + ratio R + share S + lit L

    with x = logit p and a smooth passage from one slope to the other (softplus). R, S and L are
    those of `FieldDensity`, held within the range of the scenes that the map was fitted on.

    Args:
        constant, low, high, ratio, share, lit: weights; `low` and `high` are positive.
        least, most: R, S and L of the scenes, the lowest and the highest.
    """

    constant: float
    low: float
    high: float
    ratio: float
    share: float
    lit: float
    least: FieldDensity
    most: FieldDensity

    def calibrated(self, probability: ArrayLike, field: FieldDensity) -> NDArray[np.float32]:
        """Probabilities of one field through the map, of the same shape."""
        return expit(self.logit(logits(probability), field)).astype(np.float32)

    def logit(self, x: NDArray, field: FieldDensity) -> NDArray[np.float64]:
        """The logits of the calibrated probabilities, from those of the members."""
        weights = np.array([getattr(self, name) for name in WEIGHTS])
        return terms(x, FieldDensity(*np.clip(field, self.least, self.most))) @ weights


@dataclass(frozen=True, kw_only=True)
class StoredMap:
    """A map, and the members that it was fitted for.

    Args:
        map: the map.
        names, hashes: of the files of the members.
        facts: number of scenes, and how the map did on scenes that it was not fitted on.
    """

    map: OccupationMap
    names: tuple[str, ...]
    hashes: tuple[str, ...]
    facts: dict[str, Any]


def logits(probability: ArrayLike) -> NDArray[np.float64]:
    """Logits of probabilities, finite also where they are 0 or 1."""
    return logit(np.clip(np.asarray(probability, np.float64), SMALLEST, 1 - SMALLEST))


def terms(x: NDArray, field: FieldDensity) -> NDArray[np.float64]:
    """What the `WEIGHTS` of a map multiply, (..., 6), for logits x of any shape."""
    above = np.logaddexp(0.0, x - KNEE)
    of_field = [np.full_like(x, measure) for measure in field]
    return np.stack([np.ones_like(x), x - above, KNEE + above, *of_field], -1)


def density_of_field(probability: ArrayLike, density: ArrayLike) -> FieldDensity:
    """Measures how densely a field is labelled.

    Args:
        probability: the members' own, any shape.
        density: predicted fluorophores per fine pixel, same shape.
    """
    probability = np.asarray(probability, np.float64)
    implied = max(float(np.mean(-np.expm1(-np.asarray(density, np.float64)))), SMALLEST)
    stated = max(float(probability.mean()), SMALLEST)
    lit = max(float(np.square(probability).mean()) / stated, SMALLEST)
    return FieldDensity(*(math.log(value) for value in (implied / stated, implied, lit)))


def write_map(path: Path, stored: StoredMap) -> None:
    """Writes a map, whole or not at all."""
    weights = asdict(stored.map)
    limits = {name: list(weights.pop(name)) for name in ("least", "most")}
    content = {
        "format": FORMAT,
        "version": VERSION,
        "weights": weights,
        **limits,
        "members": list(stored.names),
        "hashes": list(stored.hashes),
        "fitted_on": stored.facts,
    }
    write_json(path, content)


def read_map(path: Path) -> StoredMap:
    """Reads a map back.

    Raises:
        InputError: damaged, of another version, or no map.
    """
    payload = read_json(path)
    if payload.get("format") != FORMAT or payload.get("version") != VERSION:
        raise InputError(
            f"{path}: expected a {FORMAT!r} of version {VERSION}, found {payload.get('format')!r} "
            f"{payload.get('version')!r}; make it again: python -m dlbi.train --resume, with the "
            "other options of the training, or delete it to use probabilities without calibration"
        )
    names = list_of(text(LONGEST_NAME), least=1)
    kinds = {
        "weights": _weights,
        "least": _measures,
        "most": _measures,
        "members": names,
        "hashes": names,
        "fitted_on": mapping_of(anything()),
    }
    content = checked(payload, kinds, path, "calibration")
    least, most = (FieldDensity(*content[name]) for name in ("least", "most"))
    if any(low > high for low, high in zip(least, most, strict=True)):
        raise InputError(
            f"{path} is not a valid calibration file: expected a least that is not above the most; "
            "delete it, or make it again: python -m dlbi.train --resume"
        )
    return StoredMap(
        map=OccupationMap(**content["weights"], least=least, most=most),
        names=tuple(content["members"]),
        hashes=tuple(content["hashes"]),
        facts=content["fitted_on"],
    )


_measures = list_of(number(-LARGEST_WEIGHT, LARGEST_WEIGHT), length=len(FieldDensity._fields))


def _weights(value: Any, place: str) -> dict[str, float]:
    """The weights of a map that rises with the probability."""
    usual = number(-LARGEST_WEIGHT, LARGEST_WEIGHT)
    stored = record(dict.fromkeys(WEIGHTS, usual))(value, place)
    for name in ("low", "high"):
        if not stored[name] > 0:
            raise Misfit(f"{place}.{name}", "a positive slope", stored[name])
    return {name: stored[name] for name in WEIGHTS}
