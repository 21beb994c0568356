"""Joint sampling of the chains of several overlapping fluorophores, exactly.

One chain at a time mixes badly where spots overlap: the emitter of a frame can only change through
frames in which both or neither emit. A block of k chains has 3**k joint states, and is drawn
jointly.
"""

import functools
import itertools

import numpy as np
from numpy.typing import NDArray

from bayesdl_sim.dlbi.conventions import EMITTING, STATES
from bayesdl_sim.dlbi.inference.chains import Switching, log_of
from bayesdl_sim.utils.errors import InputError

__all__ = [
    "forward_backward",
    "joint_states",
    "joint_switching",
    "pattern_evidence",
    "sample_blocks",
    "sample_joint",
]

# Log likelihood by which a joint state may fall behind the best of its frame; less likely states
# have a probability of zero for any sampler. So many frames in a row stay within the range of
# float64.
LARGEST_CONTRAST = 100.0
RESCALED = 4
# Weight of all possible first states, relative to the best state of any kind, below which float64
# may have lost some of them. Blocks that start bleached and look bright are drawn in logarithms.
LEAST_WEIGHT = 1e-200


@functools.cache
def joint_states(emitters: int) -> NDArray[np.int64]:
    """Every joint state of a block: (3**emitters, emitters), last emitter fastest."""
    return np.array(list(itertools.product(range(STATES), repeat=emitters)), dtype=np.int64)


def joint_switching(
    switching: Switching, emitters: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Transition matrix (S, S) and initial law (S,) of the S = 3**emitters joint states."""
    table, initial = np.ones((1, 1)), np.ones(1)
    for _ in range(emitters):
        table, initial = np.kron(table, switching.transition), np.kron(initial, switching.initial)
    return table, initial


def pattern_evidence(fields: NDArray, gram: NDArray) -> NDArray[np.float64]:
    """Log likelihood of every joint state against all dark: x . f - x G x / 2, x = [s = emit].

    Args:
        fields: (..., k), projections of a frame on the k spots, over the noise variance.
        gram: (..., k, k), products of the spots, over the noise variance.

    Returns:
        (..., 3**k).
    """
    emitting = (joint_states(fields.shape[-1]) == EMITTING).astype(np.float64)  # (S, k)
    quadratic = np.einsum("sk,...kl,sl->...s", emitting, gram, emitting)
    return fields @ emitting.T - quadratic / 2


def sample_blocks(
    fields: NDArray, gram: NDArray, switching: Switching, generator: np.random.Generator
) -> NDArray[np.int8]:
    """Draws the chains of many blocks, each block jointly (FFBS over 3**k states).

    Args:
        fields: (blocks, k, T), of the frames without the light of the block; over the variance.
        gram: (blocks, k, k), of the spots; over the variance.
        switching: transition matrix and initial distribution of one fluorophore.
        generator: source of the uniform numbers.

    Returns:
        States (blocks, k, T).
    """
    evidence = pattern_evidence(np.moveaxis(fields, 2, 0), gram)  # (T, blocks, S)
    return sample_joint(evidence, switching, generator)


def sample_joint(
    evidence: NDArray,
    switching: Switching,
    generator: np.random.Generator,
    initial: NDArray | None = None,
) -> NDArray[np.int8]:
    """Draws joint chains from the log likelihoods (T, blocks, 3**k) of their joint states.

    Initial distributions (blocks, 3**k) may be given, where they differ between blocks.

    Returns:
        States (blocks, k, T).
    """
    frames, blocks, size = evidence.shape
    emitters = round(np.log(size) / np.log(STATES))
    table, law = joint_switching(switching, emitters)
    initial = np.broadcast_to(law if initial is None else initial, (blocks, size))
    uniform = generator.random((frames, blocks))
    joint = np.empty((frames, blocks), dtype=np.int64)
    lost = np.ones(blocks, dtype=bool)
    if switching.scannable:
        weights = _weights(evidence, table)
        joint[:] = _followed(weights, table, initial, uniform)
        lost = (weights[0] * initial).sum(axis=1) < LEAST_WEIGHT
    if lost.any():
        joint[:, lost] = _followed_in_logarithms(
            evidence[:, lost], table, initial[lost], uniform[:, lost]
        )
    return np.moveaxis(joint_states(emitters)[joint], 0, 2).astype(np.int8)


def _followed(
    weights: NDArray, table: NDArray, initial: NDArray, uniform: NDArray
) -> NDArray[np.int64]:
    """Joint states (T, blocks), drawn from the weights of `_weights` by uniform numbers."""
    frames, blocks = uniform.shape
    joint = np.empty((frames, blocks), dtype=np.int64)
    joint[0] = _picked(weights[0] * initial, uniform[0])
    # Successors of every state of the frame before; then only one of them is followed.
    following = _picked(weights[1:, :, None, :] * table, uniform[1:, :, None])
    index = np.arange(blocks)
    for t in range(1, frames):
        joint[t] = following[t - 1, index, joint[t - 1]]
    return joint


def _followed_in_logarithms(
    evidence: NDArray, table: NDArray, initial: NDArray, uniform: NDArray
) -> NDArray[np.int64]:
    """Joint states (T, blocks) of the same law, for any transition matrix and first states."""
    joint = np.empty(uniform.shape, dtype=np.int64)
    log_table, law, logs = log_of(table), log_of(initial), _log_weights(evidence, table)
    for t in range(len(joint)):
        chances = logs[t] + law
        chances = np.exp(chances - chances.max(axis=1, keepdims=True))
        joint[t] = _picked(chances, uniform[t])
        law = log_table[joint[t]]
    return joint


def _picked(chances: NDArray, uniform: NDArray) -> NDArray[np.int64]:
    """Index on the last axis, drawn with these weights (of any sum) by uniform numbers."""
    cumulative = np.cumsum(chances, axis=-1)
    point = (uniform * cumulative[..., -1])[..., None]
    return (point >= cumulative[..., :-1]).sum(axis=-1)


def _weights(evidence: NDArray, table: NDArray) -> NDArray[np.float64]:
    """Likelihood of this and all later frames under each state, (T, blocks, S), up to a factor.

    One factor for all states of a frame is enough, where all states can be reached.
    """
    relative = np.maximum(evidence - evidence.max(axis=2, keepdims=True), -LARGEST_CONTRAST)
    weights = np.exp(relative)
    for t in range(len(evidence) - 2, -1, -1):
        weights[t] *= weights[t + 1] @ table.T
        if t % RESCALED == 0:
            weights[t] /= weights[t].max(axis=1, keepdims=True)
    return weights


def _log_weights(evidence: NDArray, table: NDArray) -> NDArray[np.float64]:
    """Logarithm of the same, for any transition matrix."""
    log_table = log_of(table)
    logs = evidence.copy()
    for t in range(len(evidence) - 2, -1, -1):
        logs[t] += np.logaddexp.reduce(log_table + logs[t + 1][:, None, :], axis=-1)
    return logs


def forward_backward(
    evidence: NDArray, table: NDArray, initial: NDArray
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Log evidence and marginals of chains over any states, in logarithms throughout.

    Args:
        evidence: (..., T, S), log likelihood of each frame under each state.
        table: (S, S), transition probabilities.
        initial: (S,), distribution of the first state.

    Returns:
        Log evidence (...), and the probabilities (..., T, S) of the states given all frames.

    Raises:
        InputError: where no sequence of states is possible under the evidence.
    """
    log_table = log_of(table)
    frames = evidence.shape[-2]
    forward = np.array(evidence, dtype=np.float64)
    later = np.zeros(forward.shape)
    forward[..., 0, :] += log_of(initial)
    for t in range(1, frames):
        terms = forward[..., t - 1, :, None] + log_table
        forward[..., t, :] += np.logaddexp.reduce(terms, axis=-2)
    for t in range(frames - 2, -1, -1):
        terms = log_table + (evidence[..., t + 1, :] + later[..., t + 1, :])[..., None, :]
        later[..., t, :] = np.logaddexp.reduce(terms, axis=-1)
    log_evidence = np.logaddexp.reduce(forward[..., -1, :], axis=-1)
    if not np.all(np.isfinite(log_evidence)):
        raise InputError(
            "transition, initial: expected a possible sequence of states for every chain, found a "
            "chain that no sequence explains"
        )
    return log_evidence, np.exp(forward + later - log_evidence[..., None, None])
