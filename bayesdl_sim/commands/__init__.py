"""Command lines: options in, settings out, calls. Nothing that a notebook could want."""
