"""A raw stack with what is measured of it: scale, gaps, fringe patterns, first guess, checks."""
