"""Draws whole chains of blinking states, exactly: forward filtering, backward sampling (FFBS).

States are 0 emitting, 1 dark, 2 bleached. The likelihood of the frames enters as log odds of
emission against none, so that a chain that never emits has the likelihood 1.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayesdl_sim.dlbi.conventions import BLEACHED, DARK, EMITTING, STATES
from bayesdl_sim.dlbi.inference.scans import sample_in_scans
from bayesdl_sim.utils.errors import InputError

__all__ = [
    "Switching",
    "log_of",
    "sample_chains",
    "sample_chains_by_recursion",
]

# Smallest probability between the two living states with which chains may be drawn without
# logarithms. A state may be entered and left at the cost of two transitions for each of at most
# three fluorophores, 69 nats, which is less than the 100 at which `blocks` cuts off evidence.
LEAST_CHANCE = 1e-5
# Log odds of one frame beyond which the draws do not change: exp(-300) is zero for any sampler, and
# the product of two such odds is still a number.
LARGEST_LOG_ODDS = 300.0
# Chains scanned at once: their matrices of 200 frames then fit into the second-level cache.
CHAINS_AT_ONCE = 128
SUM_TOLERANCE = 1e-6


class Switching:
    """Transition matrix and initial distribution of a blinking fluorophore, checked.

    Args:
        transition: (3, 3); row i is the distribution of the next state after state i.
        initial: (3,), distribution of the states in the first frame.

    Raises:
        InputError: where a row is not a probability distribution.
    """

    def __init__(self, transition: ArrayLike, initial: ArrayLike):
        self.transition = _laws(transition, (STATES, STATES), "transition")
        self.initial = _laws(initial, (STATES,), "initial")

    @property
    def scannable(self) -> bool:
        """True where bleaching is permanent, and each living state may follow each of them.

        Only then the scan needs no logarithms. Where a transition is impossible, the most likely
        path may contain a frame that is very unlikely by itself, so that no evidence can be cut off
        at the range of float64.
        """
        living = self.transition[:BLEACHED, :BLEACHED]
        return bool(self.transition[BLEACHED, BLEACHED] == 1.0 and living.min() >= LEAST_CHANCE)

    @property
    def emitting_fraction(self) -> float:
        """Share of the time that a fluorophore emits before it bleaches (of the 2 x 2 part)."""
        on, off = self.transition[DARK, EMITTING], self.transition[EMITTING, DARK]
        return float(on / (on + off)) if on + off > 0 else float(self.initial[EMITTING])


def _laws(values: ArrayLike, shape: tuple[int, ...], name: str) -> NDArray[np.float64]:
    laws = np.asarray(values, dtype=np.float64)
    if laws.shape != shape:
        raise InputError(f"{name}: expected {shape} probabilities, found the shape {laws.shape}")
    if not (np.all(laws >= 0) and np.all(np.abs(laws.sum(-1) - 1) < SUM_TOLERANCE)):
        raise InputError(
            f"{name}: expected probabilities that add up to 1, found {laws.tolist()}; the table is "
            "[[P1, P2, 0], [P3, P4, P5], [0, 0, 1]] for emitting, dark, bleached"
        )
    return laws


def log_of(values: ArrayLike) -> NDArray[np.float64]:
    """Natural logarithm with log 0 = -inf and no warning."""
    with np.errstate(divide="ignore"):
        return np.log(np.asarray(values, dtype=np.float64))


def sample_chains(
    log_odds: ArrayLike,
    switching: Switching,
    generator: np.random.Generator,
    initial: NDArray | None = None,
) -> NDArray[np.int8]:
    """Draws of p(s | log odds) for many chains, in associative scans over time.

    Backward: beta_t = M_(t+1) beta_(t+1) with M_t = P diag(odds_t, 1, 1), for all t at once from
    products of pairs, pairs of pairs and so on. Forward: one uniform number per frame makes a map
    from the state before to the state now, and maps are composed in the same way. Both need
    2 log2(T) steps instead of T.

    Args:
        log_odds: (chains, T), of emission against none.
        switching: transition matrix and initial distribution.
        generator: source of the uniform numbers.
        initial: (chains, 3), initial distributions that differ between chains.

    Returns:
        States (chains, T).
    """
    log_odds = np.asarray(log_odds, dtype=np.float64)
    if initial is None:
        initial = np.broadcast_to(switching.initial, (len(log_odds), STATES))
    if not switching.scannable or log_odds.shape[1] < 2:
        return sample_chains_by_recursion(log_odds, switching, generator, initial)
    uniform = generator.random(log_odds.shape)
    states = np.empty(log_odds.shape, dtype=np.int8)
    for first in range(0, len(log_odds), CHAINS_AT_ONCE):
        part = slice(first, first + CHAINS_AT_ONCE)
        odds = np.clip(log_odds[part].T, -LARGEST_LOG_ODDS, LARGEST_LOG_ODDS)
        states[part] = sample_in_scans(
            np.exp(odds), switching.transition, initial[part].T, uniform[part].T
        ).T
    return states


def sample_chains_by_recursion(
    log_odds: ArrayLike,
    switching: Switching,
    generator: np.random.Generator,
    initial: NDArray | None = None,
) -> NDArray[np.int8]:
    """The same draws frame after frame, in logarithms: slow, plain, for any transition matrix.

    Args and result are those of `sample_chains`.
    """
    log_odds = np.asarray(log_odds, dtype=np.float64)
    chains, frames = log_odds.shape
    log_table = log_of(switching.transition)
    evidence = np.zeros((frames, chains, STATES))
    evidence[:, :, EMITTING] = log_odds.T
    later = np.zeros((frames, chains, STATES))
    for t in range(frames - 2, -1, -1):
        terms = log_table + (evidence[t + 1] + later[t + 1])[:, None, :]
        later[t] = np.logaddexp.reduce(terms, axis=2)
    states = np.empty((chains, frames), dtype=np.int8)
    weights = log_of(switching.initial if initial is None else initial) + evidence[0] + later[0]
    for t in range(frames):
        if t:
            weights = log_table[states[:, t - 1]] + evidence[t] + later[t]
        chances = np.exp(weights - weights.max(axis=1, keepdims=True)).cumsum(axis=1)
        point = generator.random((chains, 1)) * chances[:, -1:]
        states[:, t] = (point >= chances).sum(axis=1)
    return states
