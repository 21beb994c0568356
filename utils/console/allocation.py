"""Memory that is freed is kept for the next array, instead of going back to the system."""

from __future__ import annotations

import ctypes
import sys

__all__ = ["reuse_freed_memory"]

# Of glibc's malloc.h: number of a parameter, and its value in bytes.
TRIM_THRESHOLD, MMAP_THRESHOLD = (-1, 512 * 2**20), (-3, 128 * 2**20)


def reuse_freed_memory() -> bool:
    """Arrays of up to 128 MB are taken from memory that was freed before.

    By default glibc returns every array above 32 MB to the system at once, and the system clears
    every page of the next one: of the networks on a field of 502 x 502 pixels that is a sixth of
    the time. Half a gigabyte at most is kept back.

    Returns:
        Whether it was set: only under Linux with glibc.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return False
    return all([mallopt(*TRIM_THRESHOLD), mallopt(*MMAP_THRESHOLD)])
