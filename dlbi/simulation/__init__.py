"""Parts of the simulator of blinking movies: switching, spots, structures, microscopes."""
