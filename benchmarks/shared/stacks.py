"""Where the demo stacks lie, whatever folder a benchmark is run from."""

from pathlib import Path

__all__ = ["DEMO_STACKS"]

DEMO_STACKS = Path(__file__).resolve().parents[2] / "data"
