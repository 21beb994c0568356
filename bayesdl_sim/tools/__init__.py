"""What users run before an experiment or on a result."""
