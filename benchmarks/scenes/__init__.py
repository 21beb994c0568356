"""What the benchmarks measure on: simulated scenes that no training set holds."""
