"""A classical reconstruction of any stack without knowing its microscope, for a network to improve.

A network sees fringes only as far as its receptive field reaches, and would have to invent
demodulation and deconvolution. The Wiener filter has both, and it sees the whole field.
"""

from __future__ import annotations

import math
from dataclasses import replace

from torch import Tensor

from bayesdl_sim.physics.illumination import Illumination
from bayesdl_sim.physics.optics import Optics
from bayesdl_sim.physics.patterns.estimation import Estimate, estimate
from bayesdl_sim.physics.patterns.measured import Counts, measured
from bayesdl_sim.physics.reconstruction.wiener import FilterSettings, filter_settings, wiener_sim

__all__ = ["BLOCK_MARGIN", "FIRST_GUESS_VERSION", "block_guess", "block_settings", "first_guess"]

FIRST_GUESS_VERSION = 5  # counts the changes of what `first_guess` returns
FAINTEST = 0.02  # modulation; the shifted bands then weigh next to nothing
BLOCK_MARGIN = 64  # raw pixels around a block; beyond, the filter reaches for less than noise


def first_guess(
    raw: Counts,
    patterns: Estimate | None = None,
    optics: Optics | None = None,
    dimming: Tensor | None = None,
) -> Tensor:
    """Wiener filter with the patterns that are found in the stack, weighed by their evidence.

    Its image fits the frames up to the borders of the field (`wiener_sim`).

    The modulation of each orientation is multiplied by the probability that its pattern is real,
    and by `exp(-v / 2)`, the expected cosine of a phase with an error of variance v: the shifted
    bands of a doubtful pattern fade, and what remains is the wide field, deconvolved.

    Args:
        raw: (9, H, W) counts, measured or not, orientation-major.
        patterns: patterns of this stack, from `estimation.estimate(raw, optics)`, where they are
            known already.
        optics: optics of the detection, as far as they are known; None: those of `patterns`.
        dimming: (H, W), the factor by which bright spots were dimmed (`spots.dimming`).

    Returns:
        (2H, 2W) float32, counts above background.

    Raises:
        InputError: for a stack that cannot be one (`MeasuredFrames`).
    """
    stack = measured(raw)
    patterns = patterns or estimate(stack, optics)
    return wiener_sim(stack, optics or patterns.optics, _faded(patterns), dimming=dimming)


def block_settings(
    raw: Tensor, patterns: Estimate, background: float, dimming: Tensor | None = None
) -> FilterSettings:
    """Settings of the filter of all blocks of a large field, measured on a part of it.

    Args:
        raw: (9, h, w) counts of the part.
        patterns: those of the part, see `Estimate.within`.
        background: background of the whole field, counts.
        dimming: (h, w) of the part, see `first_guess`.
    """
    settings = filter_settings(raw, patterns.optics, _faded(patterns), dimming)
    return replace(settings, background=background)


def block_guess(
    raw: Tensor,
    patterns: Estimate,
    settings: FilterSettings,
    missing: Tensor | None = None,
    borders: bool = True,
) -> Tensor:
    """`first_guess` of a block of a large field, valid from `BLOCK_MARGIN` inside its edges.

    Args:
        raw: (9, h, w) counts of the block with its margin.
        patterns: those of the block, see `Estimate.within`.
        settings: settings from `block_settings`.
        missing: (h, w), the pixels without data; None: they are looked for.
        borders: see `wiener_sim`; not needed in the middle of a field without gaps.

    Returns:
        (2h, 2w) float32, counts above background.
    """
    light = _faded(patterns)
    options = {"settings": settings, "missing": missing, "borders": borders}
    return wiener_sim(raw, patterns.optics, light, **options)


def _faded(patterns: Estimate) -> Illumination:
    """The patterns, each as deep as it is sure."""
    light = patterns.illumination
    orientations = zip(light.modulation, patterns.probability, patterns.phase_error, strict=True)
    depth = tuple(max(m * p * math.exp(-0.5 * error**2), FAINTEST) for m, p, error in orientations)
    return replace(light, modulation=depth)
