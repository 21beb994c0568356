"""Settings of a training run: frozen classes, one per theme; no list of them is kept elsewhere."""
