"""What ends a piece of work that nobody wants any more."""

__all__ = ["Stopped"]


class Stopped(Exception):
    """The user has stopped the work."""
