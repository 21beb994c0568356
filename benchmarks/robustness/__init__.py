"""What kills, crowds, full disks and damaged files do to the programs."""
