"""Scores against truth, unseen cases to take them on, and the plain methods to compare with."""
