"""The error that a reader tolerates; a number of its own, so that options can be read quickly."""

__all__ = ["DELTA"]

DELTA = 0.04  # of the range of the image: ten grey levels of a screen that shows 255
