"""What single pixels and lines of a camera do, apart from the light that falls on them."""
