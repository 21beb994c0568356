"""The exception that ends work which the user has cancelled."""

__all__ = ["Stopped"]


class Stopped(Exception):
    """The user has stopped the work."""
