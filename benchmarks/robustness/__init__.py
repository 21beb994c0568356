"""Robustness of programs against kills, rivals and full disks, and equality of equal runs."""
