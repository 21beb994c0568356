"""What the simulator of blinking movies is made of: switching, spots, structures, microscopes."""
