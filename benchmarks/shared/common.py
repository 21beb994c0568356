"""The reconstruction methods that the benchmarks share."""

import argparse

import numpy as np

from bayesdl_sim.bayes.prediction import Prediction
from bayesdl_sim.evaluation.scenes import Scene
from bayesdl_sim.inference.posterior import Posterior
from bayesdl_sim.physics.optics import Optics
from bayesdl_sim.physics.reconstruction.wiener import wide_field_upsampled, wiener_sim

__all__ = [
    "open_posterior",
    "posterior_of",
    "wide_field_images",
    "wiener_images",
    "within_interval",
]


def posterior_of(
    scene: Scene,
    posterior: Posterior,
    calibrated: bool = False,
    optics: Optics | None = None,
) -> Prediction:
    """Maps (L, 1, 2H, 2W) of all levels of a scene; deviations as the members predict them.

    Args:
        optics: optics of the detection that the posterior is given; None: unknown.
    """
    return posterior.predict(scene.raw, calibrated, optics)


def wide_field_images(scene: Scene) -> list[np.ndarray]:
    """Per level, the mean of the nine frames on the doubled grid, interpolated bicubically."""
    return [wide_field_upsampled(stack).numpy() for stack in scene.raw]


def wiener_images(
    scene: Scene, true_optics: bool = True, true_patterns: bool = False
) -> list[np.ndarray]:
    """Per level, the classical reconstruction.

    Args:
        true_optics: use the OTF that made the frames, damping included, which a lab has
            measured at best; else the OTF of the aperture, wavelength and pixel size, with the
            damping of a typical objective. (The ideal OTF, undamped, does 2-3 dB worse.)
        true_patterns: also use the true illumination, which is unknown in any experiment.
    """
    known = scene.optics
    optics = known if true_optics else known.nominal
    patterns = scene.illumination if true_patterns else None
    return [wiener_sim(stack, optics, patterns).numpy() for stack in scene.raw]


def open_posterior(args: argparse.Namespace, fast: bool = False) -> Posterior:
    """The posterior that the options of `console.arguments` name.

    Args:
        fast: the student of these members instead.
    """
    options = {"fast": fast, "precision": args.precision, "tile": args.tile}
    members = None if fast else args.members
    return Posterior.load(args.pretrained_G, args.device, members, **options)


def within_interval(
    posterior: Posterior, error: np.ndarray, sigma: np.ndarray, level: float = 0.9
) -> np.ndarray:
    """Whether each error lies within the calibrated interval of that level; sigma is calibrated."""
    low, high, _ = posterior.calibration.bounds(level, guaranteed=False)
    return (error >= low * sigma) & (error <= high * sigma)
