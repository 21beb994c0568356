"""How well a student replaces its posterior."""
