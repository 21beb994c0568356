"""Exact inference of blinking states: single chains, blocks of chains, evidence and gradients."""
