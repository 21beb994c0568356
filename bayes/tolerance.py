"""The error that a reader tolerates; a separate module, so that options can be read quickly."""

__all__ = ["DELTA"]

# Share of the range of the image. Two points at Rayleigh's distance are told apart by a dip of 26 %
# of their height: an error below half of that neither closes such a dip nor invents one.
DELTA = 0.13
