"""Writes data sets in the tree that the room data reads. Run with python -m."""
