"""Robustness of readers and checks against damaged files and frames in a wrong order."""
