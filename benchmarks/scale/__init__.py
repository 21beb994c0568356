"""How far the programs scale: restarts after kills, memory, and cost against size."""
