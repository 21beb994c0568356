"""The likelihood of a density given the moments of a movie, and its maximum."""
