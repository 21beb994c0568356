"""What damaged files and frames in a wrong order do to readers and checks."""
