"""Scores of images and of predictive distributions, on arrays."""
