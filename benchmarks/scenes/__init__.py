"""Test scenes of the benchmarks: simulated scenes that no training set holds."""
