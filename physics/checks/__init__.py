"""Measures of a raw stack before it is reconstructed, as a careful microscopist takes them."""
