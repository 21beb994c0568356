"""One script per figure of the README. Run with python -m."""
