"""Loading large libraries without a search for garbage in what they keep."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["loaded_for_good"]


@contextmanager
def loaded_for_good() -> Iterator[None]:
    """Python does not search what is loaded within for garbage, neither now nor later.

    PyTorch and SciPy make some half a million objects while they load, and all of them stay. To
    look through them again and again takes a tenth of that time, and at the end of the program
    once more as long. Where PyTorch is loaded already, nothing changes.
    """
    if "torch" in sys.modules or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
