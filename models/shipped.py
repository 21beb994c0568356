"""Where the shipped members lie."""

from __future__ import annotations

from pathlib import Path

import bayesdl_sim
from bayesdl_sim.utils.errors import InputError

__all__ = ["shipped_folder"]

SHIPPED = Path("checkpoint", "F-actin", "pretrained_G")


def shipped_folder() -> Path:
    """The folder of the shipped members, beside the code in a checkout and inside it in a wheel.

    Raises:
        InputError: the installation lacks it.
    """
    for base in bayesdl_sim.__path__:
        if (Path(base) / SHIPPED).is_dir():
            return Path(base) / SHIPPED
    raise InputError(
        f"the shipped posterior is missing: no folder {SHIPPED} beside the code; install again, or "
        "name a folder of members"
    )
