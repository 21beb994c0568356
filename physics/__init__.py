"""Forward models of structured illumination microscopy: no learning, no files."""
