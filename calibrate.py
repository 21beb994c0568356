"""Fits the calibration of a posterior on validation cells, and stores it beside the members.

    # On the validation cells of the set that it was trained on
    python calibrate.py --root_dir DatasetGenerate/Trainingdata/F-actin \
        --pretrained_G checkpoint/F-actin/BayesDL-SIM

    # On a set made for it, of which every cell may be used
    python calibrate.py --root_dir runs/eval_many --cells 1-150 \
        --pretrained_G checkpoint/F-actin/BayesDL-SIM

Written to --pretrained_G:

    calibration.json    what the standard deviations are multiplied by, and the intervals; test.py
                        applies it to the very members that it was fitted for
"""

from bayesdl_sim.commands.calibrate import main, parse_args
from bayesdl_sim.utils.errors import run_script

__all__ = ["main", "parse_args"]

if __name__ == "__main__":
    run_script(main)
