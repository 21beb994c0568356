"""Moments of the emission pattern given a movie: exact for few fluorophores, or from draws."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayesdl_sim.dlbi.conventions import EMITTING
from bayesdl_sim.dlbi.inference.blocks import (
    forward_backward,
    joint_states,
    joint_switching,
    pattern_evidence,
)
from bayesdl_sim.dlbi.inference.chains import Switching
from bayesdl_sim.dlbi.inference.observations import states_of
from bayesdl_sim.utils.errors import InputError

__all__ = ["enumerated", "moments_of", "shaped_like"]

# Fluorophores whose joint states are still enumerated: 3**6 = 729.
MOST_ENUMERATED = 6


def enumerated(
    dark: NDArray, images: NDArray, weights: NDArray, switching: Switching
) -> tuple[float, NDArray, NDArray]:
    """Log evidence of a movie minus its background, and two moments of the emission pattern.

    Args:
        dark: (T, H, W), movie minus its background.
        images: (N, H, W), spots times their amplitudes.
        weights: (H, W), inverse variance of the noise.
        switching: transition matrix and initial distribution.

    Returns:
        Log evidence; E[x_nt] (N, T); the sum of E[x_nt x_mt] over t (N, N); x = [s = emitting].
    """
    count = len(images)
    if count > MOST_ENUMERATED:
        raise InputError(
            f"positions: expected at most {MOST_ENUMERATED} fluorophores to enumerate their joint "
            f"states, found {count}; pass states drawn by StateSampler"
        )
    weighted = images * weights
    fields = np.einsum("nhw,thw->tn", weighted, dark)
    gram = np.einsum("nhw,mhw->nm", weighted, images)
    table, initial = joint_switching(switching, count)
    log_ratio, chances = forward_backward(pattern_evidence(fields, gram), table, initial)
    patterns = (joint_states(count) == EMITTING).astype(np.float64)
    variance = np.broadcast_to(1 / weights, dark.shape)
    log_dark = -(dark**2 * weights + np.log(2 * np.pi * variance)).sum() / 2
    together = np.einsum("ts,sn,sm->nm", chances, patterns, patterns)
    return float(log_ratio + log_dark), patterns.T @ chances.T, together


def moments_of(states: ArrayLike, count: int, frames: int) -> tuple[NDArray, NDArray]:
    """The same moments as averages over draws (draws, N, T) or one draw (N, T) of the states."""
    emitting = (states_of(states, count, frames).reshape(-1, count, frames) == EMITTING).astype(
        np.float64
    )
    together = np.einsum("dnt,dmt->nm", emitting, emitting, optimize=True) / len(emitting)
    return emitting.mean(0), together


def shaped_like(parameter: ArrayLike, gradient: NDArray) -> NDArray[np.float64]:
    """Sums a gradient over the axes along which the parameter was broadcast."""
    shape = np.shape(parameter)
    gradient = gradient.sum(axis=tuple(range(gradient.ndim - len(shape))))
    repeated = tuple(i for i, length in enumerate(shape) if length == 1 < gradient.shape[i])
    return gradient.sum(axis=repeated, keepdims=True)
