"""How well a student stands for its posterior."""
