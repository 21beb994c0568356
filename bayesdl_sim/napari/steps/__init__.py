"""What the plugin does, without a window: layers, verdicts, pictures and tables as plain values."""
