"""The classical ways from nine frames to an image, and back."""
