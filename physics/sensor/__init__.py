"""The camera, and the faults of its pixels and lines."""
