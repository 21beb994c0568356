"""Networks: torch modules only, and how to load one member."""
