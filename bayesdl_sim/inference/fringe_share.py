"""The share of the finest detail of a result that comes from the fringes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from bayesdl_sim.data.inputs import InputSpec, network_input
from bayesdl_sim.inference.prepared.stack import PreparedStack
from bayesdl_sim.physics.fringeless import shuffled
from bayesdl_sim.physics.illumination import ORIENTATIONS
from bayesdl_sim.physics.optics import frequency_grid
from bayesdl_sim.physics.patterns.bands import taper
from bayesdl_sim.physics.patterns.estimation import Estimate
from bayesdl_sim.physics.reconstruction.first_guess import first_guess
from bayesdl_sim.utils.pieces.spans import Square

__all__ = ["beyond_wide_field", "fringe_share", "share_of"]

# Raw pixels; of larger fields, or their brightest part, the middle is taken. Middles of 256 pixels
# differ from 160 by 0.02 at most on seven stacks, and from the whole field by 0.03.
SIDE = 160
SEED = 0  # of the shuffled control: the same stack has the same share


def fringe_share(
    member: Callable, prepared: PreparedStack, inputs: InputSpec, t: int = 0
) -> float | None:
    """The share of the detail beyond wide field's cut-off that the fringes carry, 0..1.

    The stack is reconstructed by one member twice: as it is (D), and with the nine values of every
    pixel in random order (D0), which keeps wide field and noise and destroys the fringes. If both
    are posterior means, `Var D = Var D0 + Var (D - D0)` (the law of total variance: D0 is the mean
    of D over all fringes that go with this wide field), and the reduction of the squared error of
    D0 is `Var (D - D0)`. So with the powers of the images beyond the cut-off

        share = |D - D0|^2 / |D|^2,

    and no truth is needed. `benchmarks.fringes` compares it with the truth.

    Args:
        member: network inputs (1, F, H, W) -> mean (1, 1, 2H, 2W), and more.
        t: time point.

    Returns:
        None where the result has no detail there at all.

    Source: this project's.
    """
    square = _middle(prepared.squares(t)[0])
    raw, norm = prepared.shown(t, square), prepared.norm(t)
    patterns = prepared.patterns(t).within(square)

    def image(frames: Tensor, light: Estimate) -> Tensor:
        guess = None
        if inputs.first_guess:
            guess = first_guess(frames, light).cpu().numpy() / norm.scale
        shown = network_input(norm.apply(frames.cpu().numpy()), guess, inputs)
        with torch.no_grad():
            return member(torch.from_numpy(shown)[None].float())[0][0, 0].float()

    control = shuffled(raw, torch.Generator().manual_seed(SEED))
    without = replace(patterns, probability=(0.0,) * ORIENTATIONS)
    return share_of(image(raw, patterns), image(control, without), patterns.optics.cutoff)


def share_of(image: Tensor, control: Tensor, cutoff: float) -> float | None:
    """`|D - D0|^2 / |D|^2` of two images (2H, 2W) beyond a frequency, at most 1."""
    detail, plain = (beyond_wide_field(x, cutoff) for x in (image, control))
    power = float(detail.abs().square().sum())
    if not power > 0:
        return None
    return min(float((detail - plain).abs().square().sum()) / power, 1.0)


def beyond_wide_field(image: Tensor, cutoff: float) -> Tensor:
    """Fourier coefficients of an image (2H, 2W) beyond a frequency, after a taper of the edges.

    Args:
        cutoff: cycles per raw pixel.

    Returns:
        (2H, W + 1) complex, zero up to the cut-off.
    """
    image = image.double()
    window = taper(tuple(image.shape), image.device)
    spectrum = torch.fft.rfft2((image - image.mean()) * window)
    return spectrum * (frequency_grid(tuple(image.shape), image.device) > cutoff)


def _middle(square: Square) -> Square:
    """The square of at most `SIDE` in the middle of another."""
    sides = []
    for part in square:
        length = part.stop - part.start
        start = part.start + max(0, (length - SIDE) // 2)
        sides.append(slice(start, start + min(length, SIDE)))
    return tuple(sides)
