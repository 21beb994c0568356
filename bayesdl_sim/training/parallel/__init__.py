"""More than one process: replicas that share every step, and chains side by side."""
