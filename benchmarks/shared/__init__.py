"""What the benchmarks share: options, tables, scenes as test cases, panels."""
