"""Leaves: metrics, maps, checkpoints, runs, checks. Imports no other room."""
