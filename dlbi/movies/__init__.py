"""Movies as microscopes write them: read piece by piece, judged, and freed from drift."""
