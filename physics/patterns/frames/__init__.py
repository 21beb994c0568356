"""Fringes of single frames, whatever their order, and the order that they imply."""
