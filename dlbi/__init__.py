"""From a blinking movie to a structure eight times finer, with a credibility for every pixel."""
