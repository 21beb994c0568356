"""Long series: surveyed once, then reconstructed and written time point by time point."""
