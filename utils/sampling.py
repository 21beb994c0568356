"""Single numbers from a generator that was passed in."""

import torch

__all__ = ["integer", "uniform"]


def uniform(generator: torch.Generator, low: float = 0.0, high: float = 1.0) -> float:
    """Uniform over [low, high)."""
    return low + (high - low) * torch.rand((), generator=generator).item()


def integer(generator: torch.Generator, low: int, high: int) -> int:
    """Uniform over low .. high - 1."""
    return int(torch.randint(low, high, (), generator=generator))
