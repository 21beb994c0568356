"""One network that stands for a whole posterior: the teacher's predictions, and the fit to them."""
