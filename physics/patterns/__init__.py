"""The illumination patterns of a stack, estimated from its nine frames."""
