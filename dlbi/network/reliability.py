"""Calibration of the probability of occupation: a monotone map fitted on held-out scenes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from bayesdl_sim.dlbi.network.posterior import CALIBRATION, load_posterior
from bayesdl_sim.dlbi.network.samples import list_samples, load_sample
from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.files import write_json

__all__ = ["fit_map", "write_calibration"]

BINS = 100  # of equal numbers of pixels


def fit_map(stated: NDArray, occupied: NDArray, bins: int = BINS) -> NDArray[np.float64]:
    """Monotone map from stated to true probability: knots (2, n), linear between them.

    Pixels are sorted into bins of equal numbers, whose shares of occupied pixels are made
    monotone by isotonic regression. The ends of the map are 0 -> 0 and the last knot.
    """
    order = np.argsort(stated, kind="stable")
    groups = np.array_split(order, min(bins, len(order)))
    middle = np.array([stated[group].mean() for group in groups])
    share = np.array([occupied[group].mean() for group in groups])
    rising = isotonic_regression(share, weights=[len(group) for group in groups]).x
    middle, first = np.unique(middle, return_index=True)
    return np.stack([np.append(0.0, middle), np.append(0.0, rising[first])])


def write_calibration(members: Path, held_out: Path) -> NDArray[np.float64]:
    """Fits the map on the scenes of a folder and writes it beside the members.

    Raises:
        InputError: no scenes.
    """
    posterior = load_posterior(members)
    stated, occupied = [], []
    paths = list_samples(held_out)
    if not paths:
        raise InputError(f"{held_out}: expected scenes to calibrate with, found none")
    for path in paths:
        sample = load_sample(path)
        # Without an earlier map: the probabilities to be calibrated are those of the members.
        raw = posterior.predict(sample.features, calibrate=False)
        stated.append(raw.probability.numpy().ravel())
        occupied.append(sample.fluorophores[0].numpy().ravel() > 0)
    knots = fit_map(np.concatenate(stated), np.concatenate(occupied))
    write_json(
        members / CALIBRATION,
        {
            "stated": knots[0].tolist(),
            "calibrated": knots[1].tolist(),
            "scenes": len(paths),
            "members": list(posterior.names),
            "hashes": list(posterior.hashes),
        },
    )
    return knots
