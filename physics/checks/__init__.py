"""Measures of a raw stack before it is reconstructed: what a careful microscopist looks at."""
