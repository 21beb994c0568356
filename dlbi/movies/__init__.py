"""Movies as microscopes write them: read piece by piece, checked, and corrected for drift."""
