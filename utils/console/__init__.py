"""What every command shares: options that are checked, progress, and threads."""
