"""What faults of single frames and of their processing cost, and whether they are named.

    python -m benchmarks.faulty_inputs.frames --fast --save_path runs/frames

As `benchmarks.faulty_inputs.local`, but scored over the whole field.
"""

import argparse

from bayesdl_sim.benchmarks.faulty_inputs.local import fault_arguments, print_faults
from bayesdl_sim.benchmarks.scenes.frame_faults import FRAME_FAULTS
from bayesdl_sim.utils.errors import run_script

__all__ = ["main", "parse_args"]


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    return fault_arguments("frames", "Faults of single frames.", 20311, argv)


def main(argv: list[str] | None = None) -> None:
    """Reconstructs all exposures with all faults, and prints the table."""
    print_faults("frames", "Faults of single frames", FRAME_FAULTS, parse_args(argv))


if __name__ == "__main__":
    run_script(main)
