"""Saturation that a later correction of every pixel by a gain or an offset of its own has hidden.

No value stands out any more as the largest one of the stack. But frames in which a pixel was
saturated still have one and the same value there, the largest of that pixel.
"""

from __future__ import annotations

from torch import Tensor

__all__ = ["hidden_saturation"]

BRIGHTEST = 0.02  # of the pixels, by their largest value, in which ties are looked for
FEWEST = 64  # such pixels; in fewer, ties by chance tell nothing
ALIKE = 3  # frames with the largest value of a pixel
# Share of the brightest pixels with as many, beyond what ties below the largest value make likely;
# at most 0.02 in good stacks, of 8 bits and of single photons, too.
EXCESS = 0.06
MOST_BY_CHANCE = 0.5  # of the neighbours; in so few grey levels ties tell nothing
NEAR = 0.8  # of the median saturated level above the dark: pixels whose ties count


def hidden_saturation(values: Tensor) -> float:
    """Share of the values that equal the largest one of their pixel in several frames; 0: chance.

    With q the share of equal neighbours among the sorted values of a pixel below its largest one,
    noise makes three frames alike at the top in at most q^2 of the pixels, since its largest values
    lie farther apart than others. Saturation is reported where 6 % more of the brightest pixels
    have three.

    Args:
        values: (9, N) counts of the pixels that hold data and are not faulty.
    """
    largest = values.amax(dim=0)
    count = int(BRIGHTEST * largest.numel())
    if count < FEWEST:
        return 0.0
    brightest = largest.topk(count).indices
    ordered = values[:, brightest].sort(dim=0).values
    tied = ordered[1:] == ordered[:-1]
    below = ordered[1:] < ordered[-1]
    by_chance = float((tied & below).sum()) / max(int(below.sum()), 1)
    saturated = (ordered == ordered[-1]).sum(dim=0) >= ALIKE
    excess = float(saturated.float().mean()) - by_chance**2
    if by_chance > MOST_BY_CHANCE or not excess > EXCESS:
        return 0.0
    dark = float(largest.median().minimum(values.flatten().median()))
    level = dark + NEAR * (float(largest[brightest][saturated].median()) - dark)
    at_top = values == largest
    repeated = (at_top.sum(dim=0) > 1) & (largest >= level)
    return float((at_top & repeated).sum()) / values.numel()
