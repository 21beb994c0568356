"""Fields too large for memory: measured part by part, reconstructed tile by tile."""
