"""A classical reconstruction of any stack without knowing its microscope, for a network to improve.

A network sees fringes only as far as its receptive field reaches, and would have to invent
demodulation and deconvolution. The Wiener filter has both, and it sees the whole field.
"""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from bayesdl_sim.physics.illumination import ORIENTATIONS
from bayesdl_sim.physics.optics import TYPICAL_OPTICS
from bayesdl_sim.physics.patterns.estimation import Estimate, estimate
from bayesdl_sim.physics.reconstruction.wiener import wiener_sim

__all__ = ["FIRST_GUESS_VERSION", "first_guess"]

FIRST_GUESS_VERSION = 1  # counts the changes of what `first_guess` returns
# Mean confidence of the orientations (`estimation.Estimate`): below the first, one stack in twenty
# had its patterns found (160 x 160 pixels), above the second, nineteen.
NO_FRINGES, CLEAR_FRINGES = 3.7, 4.3
FAINTEST = 0.02  # modulation; the moved bands then weigh next to nothing


def first_guess(raw: Tensor, patterns: Estimate | None = None) -> Tensor:
    """Wiener filter with typical optics and the patterns that are found in the stack.

    Where they are not found (mean confidence of the three orientations from 4.3 down to 3.7), the
    modulation fades to nothing, and what remains is the wide field, deconvolved: no fringes are
    better than wrong ones.

    Args:
        raw: (9, H, W) counts, orientation-major.
        patterns: of this stack, from `estimation.estimate`, where they are known already.

    Returns:
        (2H, 2W) float32, counts above background.

    Raises:
        InputError: for a stack that cannot be one (`bands.prepare`).
    """
    patterns = patterns or estimate(raw, TYPICAL_OPTICS)
    confidence = sum(patterns.confidence) / ORIENTATIONS
    trust = min(max((confidence - NO_FRINGES) / (CLEAR_FRINGES - NO_FRINGES), 0.0), 1.0)
    depth = tuple(max(trust * m, FAINTEST) for m in patterns.illumination.modulation)
    return wiener_sim(raw, TYPICAL_OPTICS, replace(patterns.illumination, modulation=depth))
