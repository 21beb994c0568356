"""Side-by-side measurements of accuracy, uncertainty and speed. Run with python -m."""
