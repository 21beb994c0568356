"""Do the stated intervals hold: by number of members, and on the texture of real images."""
