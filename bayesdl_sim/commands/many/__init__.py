"""Many stacks, long series, several processes: what `test` does beyond a single stack."""
