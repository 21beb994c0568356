"""Whether each of the nine frames agrees with the eight others."""
