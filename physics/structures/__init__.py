"""What cells hold: random fluorophore densities, drawn in nanometres."""
