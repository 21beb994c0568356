"""Work on an image piece by piece: how it is cut, and what is counted over all pieces."""
