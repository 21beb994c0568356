"""Networks from a movie's moments or frames to its structure, their training and their members."""
