"""Scores against the truth, test cases, and the baselines."""
