"""Evaluates a posterior on the test cells of a data set: image, uncertainty, calibration.

    # Scores, diagrams and one report.html of the test cells
    python evaluate.py --root_dir DatasetGenerate/Trainingdata/F-actin \
        --pretrained_G checkpoint/F-actin/BayesDL-SIM --save_path results/evaluation

    # A set made for evaluation only, of which every cell may be used
    python evaluate.py --root_dir runs/eval --cells 1-30 --calibration_cells 31-60 \
        --save_path results/evaluation

Written to --save_path:

    report.html         everything below, pictures inside: opens without a network
    summary.json        means over cells with 95 % bootstrap intervals over cells, bars, provenance
    metrics.csv         image quality: one row per stack and method
    uncertainty.csv     scores of the distribution: one row per stack and predictor
    *.png               the diagrams and example panels of the report

All intensities are normalised as the network's (`data.normalise`), and targets are tied to the
same scale. Image quality is taken on whole fields after an affine fit; the uncertainty on a seeded
sample of pixels per stack. The uncertainty stands beside two baselines fitted on the same
validation cells: a sigma that is a function of the SR intensity alone, and one constant sigma.
"""

from bayesdl_sim.commands.evaluate import main, parse_args
from bayesdl_sim.utils.errors import run_script

__all__ = ["main", "parse_args"]

if __name__ == "__main__":
    run_script(main)
