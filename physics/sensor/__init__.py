"""The camera, and what its pixels and lines do apart from the light that falls on them."""
