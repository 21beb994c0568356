"""Exact core of the Bayesian stage: a factorial hidden Markov model over blinking fluorophores.

Model of a movie d, in any unit that is linear in light, with states s of three-state chains

    d_t(r) = background(r) + sum_n [s_nt = emitting] a_n h(r - r_n; w_n) + noise of sd sigma(r).

States are 0 emitting, 1 dark, 2 bleached; tables are [[P1, P2, 0], [P3, P4, P5], [0, 0, 1]].
Positions are (N, 2), y and x in pixels, with pixel centres at integers. All is float64.

Source of the model: Cox et al., Nature Methods 9, 195 (2012); Li et al., Bioinformatics 34 (2018).
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from bayesdl_sim.dlbi.conventions import DARK, EMITTING, STATES
from bayesdl_sim.dlbi.inference.blocks import forward_backward, sample_blocks
from bayesdl_sim.dlbi.inference.chains import Switching, sample_chains
from bayesdl_sim.dlbi.inference.colouring import colour_classes, disjoint_blocks, random_blocks
from bayesdl_sim.dlbi.inference.expectations import enumerated, moments_of, shaped_like
from bayesdl_sim.dlbi.inference.observations import (
    dark_residual,
    log_odds_of,
    noise_of,
    numpy_generator,
    one_draw_of,
    per_spot,
    positions_of,
    radius_of,
    shape_of,
    widths_of,
)
from bayesdl_sim.dlbi.inference.spots import (
    Patches,
    corners_of,
    gaussian,
    patches_of,
    spot_slopes,
)

__all__ = [
    "EvidenceGradient",
    "StateSampler",
    "log_evidence_gradient",
    "single_chain",
    "spot_images",
]

# Widths between two fluorophores up to which their chains are also drawn jointly: the
# correlation exp(-d**2 / (4 w**2)) of two spots is 0.1 there.
BLOCK_REACH = 3.0
LARGEST_BLOCK = 3


def spot_images(
    positions: ArrayLike, amplitude: ArrayLike, width: ArrayLike, shape: tuple[int, int]
) -> NDArray[np.float64]:
    """Images of single fluorophores, not truncated.

        a / (2 pi w**2) exp(-|r - r_n|**2 / (2 w**2)) at every pixel centre r

    The *integral* over the plane is the amplitude. The sum over an unbounded grid of pixels is the
    amplitude too, to 1e-8 for w >= 1 and to 3 % for w = 0.5 (the error is about
    4 exp(-2 pi**2 w**2)), because the Gaussian is sampled at the centres, not integrated over the
    pixels. Light beyond the border of the field is lost, as in a camera: an image is never rescaled
    to its sum, and derivatives stay simple.

    Args:
        positions: (N, 2), y and x in pixels; they may lie outside the field.
        amplitude: integral of a spot, one for all or (N,), in units of the movie.
        width: standard deviation in pixels, one for all or (N,).
        shape: (H, W); the result is (N, H, W).

    Raises:
        InputError: where shapes do not fit or a width is not positive.
    """
    positions, shape = positions_of(positions), shape_of(shape)
    amplitude = per_spot(amplitude, len(positions), "amplitude")
    width = widths_of(width, len(positions))
    along_y = gaussian(np.arange(shape[0]) - positions[:, :1], width[:, None])
    along_x = gaussian(np.arange(shape[1]) - positions[:, 1:], width[:, None])
    return amplitude[:, None, None] * along_y[:, :, None] * along_x[:, None, :]


def single_chain(
    log_odds: ArrayLike, transition: ArrayLike, initial: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Forward algorithm of single fluorophores, and their marginals.

    Log evidence is log sum over all s of p(s) prod_t exp(log_odds_t [s_t = emitting]), relative to
    a fluorophore that never emits. It is computed in logarithms, so that no odds are too large.

    Args:
        log_odds: (..., T), log p(frame t | emitting) - log p(frame t | not emitting).
        transition: (3, 3), rows are probability distributions.
        initial: (3,).

    Returns:
        Log evidence (...), and p(s_t = i | all frames) as (..., T, 3).

    Raises:
        InputError: where a row is no distribution, odds are no numbers, or no states are possible.
    """
    switching = Switching(transition, initial)
    log_odds = log_odds_of(log_odds)
    evidence = np.zeros((*log_odds.shape, STATES))
    evidence[..., EMITTING] = log_odds
    return forward_backward(evidence, switching.transition, switching.initial)


class StateSampler:
    """Draws the states of all fluorophores given a movie: Markov chain Monte Carlo with FFBS.

    One sweep draws every chain given all others, a colour class (patches that share no pixel) at a
    time. It then draws random blocks of two or three neighbours jointly, swaps between them
    included: up to three overlapping fluorophores alone are drawn independently in each sweep.

    Args:
        movie: (T, H, W).
        positions: (N, 2), y and x in pixels.
        amplitude: one for all or (N,), in units of the movie.
        width: standard deviations of the spots in pixels, one for all or (N,).
        background: anything that broadcasts to the movie.
        sigma: standard deviation of the noise, one for all or (H, W).
        transition: (3, 3), rows are probability distributions.
        initial: (3,).
        radius: pixels at which a spot is cut off; five widths where it is left out.
        states: (N, T) to start from; all dark where they are left out.

    Raises:
        InputError: where shapes do not fit, values are not finite or not positive, or the radius is
            no whole number of pixels.
    """

    def __init__(
        self,
        movie: ArrayLike,
        positions: ArrayLike,
        amplitude: ArrayLike,
        width: ArrayLike,
        background: ArrayLike,
        sigma: ArrayLike,
        transition: ArrayLike,
        initial: ArrayLike,
        *,
        radius: int | None = None,
        states: ArrayLike | None = None,
    ):
        self.switching = Switching(transition, initial)
        self.positions = positions_of(positions)
        count = len(self.positions)
        self.amplitude = per_spot(amplitude, count, "amplitude")
        self.width = widths_of(width, count)
        dark = dark_residual(movie, background)
        frames, *shape = dark.shape
        self.shape = (shape[0], shape[1])
        self.radius = radius_of(radius, self.width)
        padding = [(2 * self.radius,) * 2] * 2
        self._weights = np.pad(1 / noise_of(sigma, self.shape) ** 2, padding).ravel()
        self._residual = np.pad(np.moveaxis(dark, 0, 2), [*padding, (0, 0)]).reshape(-1, frames)
        self.states = np.full((count, frames), DARK, dtype=np.int8)
        self._corners = corners_of(self.positions, self.radius, self.shape)
        classes = colour_classes(self._corners, 2 * self.radius + 1)
        self._classes = [self._patches(members[:, None]) for members in classes]
        if states is not None:
            self._start_from(one_draw_of(states, count, frames))

    @property
    def residual(self) -> NDArray[np.float64]:
        """Movie minus background and all light of the present states, (T, H, W)."""
        height, width = self.shape
        pad = 2 * self.radius
        image = self._residual.reshape(height + 2 * pad, width + 2 * pad, -1)
        return np.moveaxis(image[pad : pad + height, pad : pad + width], 2, 0)

    def sweep(self, generator: np.random.Generator | torch.Generator) -> NDArray[np.int8]:
        """Draws all chains once, and once more in blocks; returns the states (N, T), a copy."""
        generator = numpy_generator(generator)
        for patches in self._classes:
            self._draw(patches, generator)
        reach = BLOCK_REACH * self.width.max(initial=0.0)
        side = 2 * self.radius + 1
        for blocks in random_blocks(self.positions, reach, LARGEST_BLOCK, generator):
            for group in disjoint_blocks(blocks, self._corners, side):
                self._draw(self._patches(blocks[group]), generator)
        return self.states.copy()

    def _patches(self, members: NDArray[np.int64]) -> Patches:
        return patches_of(members, self.positions, self.width, self.radius, self.shape)

    def _start_from(self, states: NDArray[np.int8]) -> None:
        for patches in self._classes:
            new = states[patches.members]
            self._exchange(patches, self._residual[patches.pixels], new)

    def _draw(self, patches: Patches, generator: np.random.Generator) -> None:
        """Draws blocks that share no pixel, each jointly, given everything else."""
        members, pixels, spots = patches
        light = self._residual[pixels]  # (B, Q, T)
        amplitude = self.amplitude[members][..., None]  # (B, k, 1)
        spots = spots * amplitude
        weighted = spots * self._weights[pixels][:, None, :]
        gram = weighted @ np.swapaxes(spots, 1, 2)
        fields = weighted @ light + gram @ (self.states[members] == EMITTING).astype(np.float64)
        if members.shape[1] == 1:
            log_odds = fields[:, 0] - gram[:, 0] / 2
            new = sample_chains(log_odds, self.switching, generator)[:, None]
        else:
            new = sample_blocks(fields, gram, self.switching, generator)
        self._exchange(patches, light, new)

    def _exchange(self, patches: Patches, light: NDArray, new: NDArray[np.int8]) -> None:
        """Sets new states (B, k, T), and subtracts the change of light from the residual."""
        members = patches.members
        change = (new == EMITTING).astype(np.float64) - (self.states[members] == EMITTING)
        change *= self.amplitude[members][..., None]
        light -= np.swapaxes(patches.spots, 1, 2) @ change
        self._residual[patches.pixels] = light
        self.states[members] = new


@dataclass(frozen=True, kw_only=True)
class EvidenceGradient:
    """Log evidence of a movie and its derivatives, each shaped like its parameter.

    `log_evidence` is None where the gradient is an average over draws, which do not provide the
    evidence.
    """

    log_evidence: float | None
    positions: NDArray[np.float64]  # (N, 2)
    amplitude: NDArray[np.float64]
    width: NDArray[np.float64]
    background: NDArray[np.float64]


def log_evidence_gradient(
    movie: ArrayLike,
    positions: ArrayLike,
    amplitude: ArrayLike,
    width: ArrayLike,
    background: ArrayLike,
    sigma: ArrayLike,
    transition: ArrayLike,
    initial: ArrayLike,
    *,
    states: ArrayLike | None = None,
) -> EvidenceGradient:
    """Gradient of log p(movie) by the Fisher identity, exact or from draws of the states.

        grad log p(d) = E[grad log p(d, s) given d]

    The expectation needs only E[x_nt] and E[x_nt x_mt], x = [s = emitting]. Without `states` both
    come from the forward-backward algorithm over all 3**N joint states; with them, from the draws.

    Args:
        movie: (T, H, W).
        positions: (N, 2), y and x in pixels.
        amplitude: one for all or (N,), in units of the movie.
        width: standard deviations of the spots in pixels, one for all or (N,).
        background: anything that broadcasts to the movie.
        sigma: standard deviation of the noise, one for all or (H, W).
        transition: (3, 3), rows are probability distributions.
        initial: (3,).
        states: (draws, N, T) or (N, T) of a `StateSampler`; needed for more than six fluorophores.

    Raises:
        InputError: where arguments do not fit, or there are too many fluorophores to enumerate.
    """
    positions = positions_of(positions)
    count = len(positions)
    dark = dark_residual(movie, background)
    shape = dark.shape[1:]
    weights = 1 / noise_of(sigma, shape) ** 2
    amplitudes, widths = per_spot(amplitude, count, "amplitude"), widths_of(width, count)
    spots = spot_images(positions, 1.0, widths, shape)
    images = spots * amplitudes[:, None, None]
    log_evidence = None
    if states is None:
        log_evidence, emitting, together = enumerated(
            dark, images, weights, Switching(transition, initial)
        )
    else:
        emitting, together = moments_of(states, count, len(dark))
    # (N, H, W): sum over frames of E[x_nt residual_t] over the variance.
    pull = np.einsum("nt,thw->nhw", emitting, dark) - np.einsum("nm,mhw->nhw", together, images)
    pull *= weights
    slopes = spot_slopes(positions, widths, shape)
    along = [(pull * slope).sum((1, 2)) for slope in (slopes.y, slopes.x, slopes.width)]
    mean_residual = dark - np.einsum("nt,nhw->thw", emitting, images)
    return EvidenceGradient(
        log_evidence=log_evidence,
        positions=amplitudes[:, None] * np.stack(along[:2], axis=1),
        amplitude=shaped_like(amplitude, (pull * spots).sum((1, 2))),
        width=shaped_like(width, amplitudes * along[2]),
        background=shaped_like(background, weights * mean_residual),
    )
