"""From a raw stack to a result: posterior, verdict and result files."""
