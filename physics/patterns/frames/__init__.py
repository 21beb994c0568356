"""What single frames show: fringes whatever the order, and the order that they tell."""
