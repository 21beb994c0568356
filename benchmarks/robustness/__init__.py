"""What kills, rivals and full disks do to the programs, and whether equal runs are equal."""
