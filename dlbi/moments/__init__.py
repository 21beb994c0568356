"""Estimates without learning: moments of the movie, what they say of the optics, deconvolution."""
