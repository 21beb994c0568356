"""Fits the map of the probability of occupation on held-out scenes of all densities."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from bayesdl_sim.dlbi.network.occupation import (
    LEAST_SLOPE,
    WEIGHTS,
    FieldDensity,
    OccupationMap,
    StoredMap,
    density_of_field,
    logits,
    terms,
    write_map,
)
from bayesdl_sim.dlbi.network.posterior import CALIBRATION, load_posterior
from bayesdl_sim.dlbi.network.samples import list_samples, load_sample
from bayesdl_sim.utils.errors import InputError

__all__ = ["Summary", "check_map", "fit_map", "summary_of", "write_calibration"]

STEP = 0.25  # of the logit: pixels of a scene within it count as one
# Pixels added to those that the density of a scene implies, so that empty scenes do not outweigh.
SOME_PIXELS = 100.0
FOLDS = 4  # of the check: each scene is predicted by a map that was fitted without it
# Weights of squares, in nats per occupied pixel: of the distance from no map at all, which decides
# only where the scenes do not, such as on a single scene; and of the effects of scenes, which may
# well be large.
PULL, UNLIKE = 1e-2, 0.05
SLOPES = ("low", "high")  # weights of the map that are positive
MOST_STEPS = 4000  # of the fit; 84 scenes took a few hundred


@dataclass(frozen=True, kw_only=True)
class Summary:
    """A scene as far as the map needs it: pixels of nearly the same probability together.

    Args:
        logit: (n,) mean logit of the members' probability.
        pixels, occupied: (n,) numbers of pixels, and of those that hold fluorophores.
        field: density of the field, as predicted.
        implied: number of occupied pixels that the predicted density implies.
    """

    logit: NDArray[np.float64]
    pixels: NDArray[np.float64]
    occupied: NDArray[np.float64]
    field: FieldDensity
    implied: float


def summary_of(probability: NDArray, density: NDArray, occupied: NDArray) -> Summary:
    """Sums up a scene.

    Args:
        probability: the members' own, any shape.
        density: predicted fluorophores per fine pixel, same shape.
        occupied: same shape, true where there is a fluorophore.
    """
    x, field = logits(probability).ravel(), density_of_field(probability, density)
    _, group = np.unique(np.floor(x / STEP), return_inverse=True)
    pixels = np.bincount(group).astype(np.float64)
    return Summary(
        logit=np.bincount(group, x) / pixels,
        pixels=pixels,
        occupied=np.bincount(group, occupied.ravel()),
        field=field,
        implied=x.size * float(np.exp(field.share)),
    )


def fit_map(scenes: list[Summary]) -> OccupationMap:
    """The map of maximum likelihood for the typical scene, all scenes with about the same weight.

        logit q = map(p, density of the field) + u_s,    u_s normal around 0

    The number of fluorophores that emit light so often is not in a movie where they are seldom on:
    the sum of the probabilities of a scene s is off by a factor `exp(u_s)`. It is fitted together
    with the map and then left out, so that as many scenes have too large a sum as too small a one.
    Without it, those with many fluorophores for their prediction would decide. A scene is weighted
    by one over the number of occupied pixels that its predicted density implies.
    """
    fields = np.array([scene.field for scene in scenes])
    least, most = (FieldDensity(*f(fields, axis=0).tolist()) for f in (np.min, np.max))
    design = np.concatenate([terms(scene.logit, scene.field) for scene in scenes])
    of_scene = np.repeat(np.arange(len(scenes)), [len(scene.logit) for scene in scenes])
    pixels, occupied = (
        np.concatenate([getattr(scene, name) / (scene.implied + SOME_PIXELS) for scene in scenes])
        for name in ("pixels", "occupied")
    )
    count = len(WEIGHTS)
    unchanged = np.array([float(name in SLOPES) for name in WEIGHTS])

    def loss(values: NDArray) -> tuple[float, NDArray]:
        off, effects = values[:count] - unchanged, values[count:]
        z = design @ values[:count] + effects[of_scene]
        value = (pixels * np.logaddexp(0.0, z) - occupied * z).sum()
        value += PULL * (off**2).sum() + (effects**2).sum() * UNLIKE
        slope = pixels * expit(z) - occupied
        per_scene = np.bincount(of_scene, slope, len(scenes)) + 2 * UNLIKE * effects
        return float(value), np.append(design.T @ slope + 2 * PULL * off, per_scene)

    bounds = [(LEAST_SLOPE if name in SLOPES else None, None) for name in WEIGHTS]
    bounds += [(None, None)] * len(scenes)
    start = np.append(unchanged, np.zeros(len(scenes)))
    options = {"maxiter": MOST_STEPS, "maxfun": MOST_STEPS}
    fit = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    weights = dict(zip(WEIGHTS, fit.x[:count].tolist(), strict=True))
    return OccupationMap(**weights, least=least, most=most)


def check_map(scenes: list[Summary]) -> dict[str, Any]:
    """How maps do on scenes that they were not fitted on, and how the members do without one.

    Returns:
        Number of scenes; the root mean square of `log(sum of probabilities / occupied pixels)`
        over the scenes that hold a fluorophore, and the cross-entropy in nats per occupied pixel.
    """
    before, after = [], []
    for fold in range(FOLDS):
        fitted = fit_map([s for n, s in enumerate(scenes) if n % FOLDS != fold])
        for scene in scenes[fold::FOLDS]:
            if scene.occupied.sum() > 0:
                before.append(_off(scene, scene.logit))
                after.append(_off(scene, fitted.logit(scene.logit, scene.field)))
    spread, nats = (
        {
            "members": float(form(np.array(before)[:, column])),
            "map": float(form(np.array(after)[:, column])),
        }
        for column, form in ((0, lambda x: np.sqrt(np.mean(x**2))), (1, np.mean))
    )
    return {"scenes": len(after), "rms_log_sum": spread, "nats_per_occupied_pixel": nats}


def _off(scene: Summary, z: NDArray) -> tuple[float, float]:
    """Logarithm of stated over true number of occupied pixels, and nats per occupied pixel."""
    total = scene.occupied.sum()
    nats = (scene.pixels * np.logaddexp(0.0, z) - scene.occupied * z).sum() / total
    return float(np.log((scene.pixels * expit(z)).sum() / total)), float(nats)


def write_calibration(members: Path, held_out: Path) -> OccupationMap:
    """Fits the map on the scenes of a folder and writes it beside the members.

    Raises:
        InputError: no scenes.
    """
    paths = list_samples(held_out)
    if not paths:
        raise InputError(f"{held_out}: expected scenes to calibrate with, found none")
    posterior = load_posterior(members, calibration=False)
    scenes = []
    for path in paths:
        sample = load_sample(path)
        predicted = posterior.predict(sample.features)
        images = (predicted.probability.numpy(), predicted.density.numpy())
        scenes.append(summary_of(*images, sample.fluorophores[0].numpy() > 0))
    fitted = fit_map(scenes)
    facts = {"scenes": len(scenes), "pixels": int(sum(scene.pixels.sum() for scene in scenes))}
    if sum(scene.occupied.sum() > 0 for scene in scenes) > FOLDS:
        facts["checked"] = check_map(scenes)
    write_map(
        members / CALIBRATION,
        StoredMap(map=fitted, names=posterior.names, hashes=posterior.hashes, facts=facts),
    )
    return fitted
