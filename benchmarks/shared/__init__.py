"""Common parts of the benchmarks: options, tables, scenes as test cases, panels."""
