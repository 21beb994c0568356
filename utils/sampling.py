"""Generators from numbers, and single numbers from a generator that was passed in."""

import numpy as np
import torch

__all__ = ["generator_from", "integer", "seed_from", "uniform"]


def seed_from(*entropy: int) -> int:
    """A seed of 63 bits from several numbers; zeros at the end do not count."""
    state = np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0]
    return int(state >> np.uint64(1))


def generator_from(*entropy: int) -> torch.Generator:
    """A generator on the CPU with the seed of `seed_from`."""
    return torch.Generator().manual_seed(seed_from(*entropy))


def uniform(generator: torch.Generator, low: float = 0.0, high: float = 1.0) -> float:
    """Uniform over [low, high)."""
    return low + (high - low) * torch.rand((), generator=generator).item()


def integer(generator: torch.Generator, low: int, high: int) -> int:
    """Uniform over low .. high - 1."""
    return int(torch.randint(low, high, (), generator=generator))
