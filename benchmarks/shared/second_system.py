"""Whether the second system, whose folder may be deleted, is part of this checkout."""

import importlib.util

__all__ = ["WING", "wing_is_here"]

WING = "dlbi"


def wing_is_here() -> bool:
    """Whether the folder of the second system is part of this checkout."""
    return importlib.util.find_spec(f"bayesdl_sim.{WING}") is not None
