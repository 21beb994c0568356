"""Structures of cells: random fluorophore densities, drawn in nanometres."""
