"""Scores of every stage and of plain methods against the truth, side by side.

    python -m dlbi.evaluate --save_path runs/blinking-scores
    python -m dlbi.evaluate --data runs/blinking --save_path runs/blinking-scores --stage moments

Without data it simulates eight unseen cases. Writes scores.json and one picture for each case, and
prints tables: PSNR, SSIM and NCC at 80 nm, resolution by FRC, agreement with the mean image (RSP,
RSE), calibration of the probability (over all fine pixels, over those above 0.1, and its sum over
the number of occupied pixels), and seconds.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import torch

from bayesdl_sim.dlbi.scoring.cases import SEED, STANDARD, cases_of, standard_cases
from bayesdl_sim.dlbi.scoring.judging import Judged, judge, tables, write_pictures
from bayesdl_sim.dlbi.simulation.spots import KERNELS
from bayesdl_sim.dlbi.stages.baseline import CHOICES
from bayesdl_sim.dlbi.stages.records import DEFAULT_STAGE, Settings
from bayesdl_sim.utils.console.options import CommandLine
from bayesdl_sim.utils.console.progress import counted
from bayesdl_sim.utils.devices import choose_device, choose_precision
from bayesdl_sim.utils.errors import InputError, run_script
from bayesdl_sim.utils.files import write_json
from bayesdl_sim.utils.folders.staging import results_folder, staged
from bayesdl_sim.utils.run_log import provenance

__all__ = ["main", "parse_args"]

SCORES = "scores.json"


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = CommandLine(
        prog="python -m dlbi.evaluate",
        description="Scores every stage and plain methods against the truth.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--save_path", required=True, help="folder for scores and pictures")
    add("--data", help="folder that python -m dlbi.simulate wrote (default: eight unseen cases)")
    add("--cases", type=int, default=len(STANDARD), help="number of the unseen cases (default all)")
    add("--kernel", choices=KERNELS, default="gaussian", help="spots of the unseen cases")
    add("--labelling", type=float, default=1.0, help="factor of their number of fluorophores")
    add("--case_seed", type=int, default=SEED, help="seed of the first unseen case")
    add("--stage", choices=CHOICES, default=DEFAULT_STAGE, help="last stage; 3b: baseline")
    add("--pretrained_G", type=Path, help="folder of members (default: the shipped ones)")
    add("--seed", type=int, default=0, help="seed of the Bayesian stage")
    add("--device", default="auto", help="auto, cpu, cuda or cuda:n")
    add("--precision", default="auto", choices=("auto", "fp32", "bf16"), help="of the network")
    args = parser.parse_args(argv)
    if not 1 <= args.cases <= len(STANDARD):
        raise InputError(f"cases: expected 1 to {len(STANDARD)}, found {args.cases}")
    if not 0 < args.labelling < math.inf:
        raise InputError(f"labelling: expected a positive factor, found {args.labelling}")
    return args


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    torch.set_flush_denormal(True)  # faint pixels are full of them, and take a seventh of the time
    device = choose_device(args.device)
    settings = Settings(
        stage=args.stage,
        members=args.pretrained_G,
        seed=args.seed,
        device=device,
        dtype=choose_precision(args.precision, device),
    )
    if args.data:
        cases, total = list(cases_of(args.data)), None
    else:
        cases = standard_cases(args.kernel, args.cases, args.labelling, args.case_seed)
        total = args.cases
    judged: list[Judged] = []
    with results_folder(args.save_path) as folder, staged(folder, last=SCORES) as partial:
        for case in counted(cases, "evaluating", total, unit="case"):
            judged.append(judge(case, settings))
            write_pictures(partial, judged[-1])
        scores = {case.name: case.scores for case in judged}
        write_json(partial / SCORES, {"cases": scores, "versions": provenance()})
    print(tables(judged))


if __name__ == "__main__":
    run_script(main)
