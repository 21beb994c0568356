"""How a network is shown a field: in tiles, and in poses."""
