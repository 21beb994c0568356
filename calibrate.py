"""Fits the calibration and the gate of a posterior, and stores them beside the members.

    # On the validation cells of the set that it was trained on
    python calibrate.py --root_dir DatasetGenerate/Trainingdata/F-actin \
        --pretrained_G checkpoint/F-actin/BayesDL-SIM

    # On a set made for it, of which every cell may be used
    python calibrate.py --root_dir runs/eval_many --cells 1-100 \
        --pretrained_G checkpoint/F-actin/BayesDL-SIM

    # The gate alone
    python calibrate.py --gate_cells 200 --pretrained_G checkpoint/F-actin/BayesDL-SIM

Written to --pretrained_G, each for the first 1, 2, ..., K members (test.py --members):

    calibration.json    what the standard deviations are multiplied by, and the intervals; test.py
                        applies it to the very members that it was fitted for
    gate.json           what simulated cells score, which a verdict of test.py compares a stack with
"""

from bayesdl_sim.commands.calibrate import main, parse_args
from bayesdl_sim.utils.errors import run_script

__all__ = ["main", "parse_args"]

if __name__ == "__main__":
    run_script(main)
