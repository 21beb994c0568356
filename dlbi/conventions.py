"""Conventions that every part of the blinking system shares: the fine grid and the state codes."""

__all__ = ["BLEACHED", "DARK", "EMITTING", "FINE", "STATES"]

FINE = 8  # fine pixels across a camera pixel
# States of a fluorophore, and their number. Tables are [[P1, P2, 0], [P3, P4, P5], [0, 0, 1]].
EMITTING, DARK, BLEACHED = 0, 1, 2
STATES = 3
