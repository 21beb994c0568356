"""Estimates without learning: moments of the movie, calibration of the optics, deconvolution."""
