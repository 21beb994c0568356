"""The plugin for napari: reader, sample data, and the widget "SIM with uncertainty"."""
