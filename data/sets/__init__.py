"""Data sets: the folder tree, its memory-mapped copy, first guesses and patches."""
