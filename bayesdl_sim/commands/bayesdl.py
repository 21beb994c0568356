"""The one console command of an installed package: `bayesdl VERB ...`.

    bayesdl test --test_data raw.tif --save_path results
    bayesdl --help

Each verb calls the `main` of the script or module of that name, which is loaded only then.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable

from bayesdl_sim.utils.errors import InputError, run_script

__all__ = ["VERBS", "main", "run"]

VERBS = {  # verb: module with a `main`, what it does
    "test": ("commands.test", "reconstructs raw stacks: SR, aleatoric and epistemic maps, verdict"),
    "train": ("commands.train", "trains step 1 (members) or step 2 (uncertainty tails)"),
    "evaluate": ("commands.evaluate", "scores a posterior on a data set with ground truth"),
    "calibrate": ("commands.calibrate", "fits calibration and gate on validation cells"),
    "distil": ("commands.distil", "distils a posterior into the one network of test --fast"),
    "simulate": ("DatasetGenerate.from_simulation", "writes a simulated data set"),
    "from-image": ("DatasetGenerate.from_image", "simulates one raw stack from an image"),
    "from-biosr": ("DatasetGenerate.from_biosr", "converts a structure of BioSR to a data set"),
    "from-stacks": ("DatasetGenerate.from_stacks", "converts your stacks and targets"),
    "export": ("tools.export.__main__", "writes a package for the BioImage Model Zoo, and ONNX"),
    "doctor": ("commands.doctor", "says what is installed, and checks that it computes"),
}


def main(argv: list[str] | None = None) -> None:
    """Calls the program that the first word names.

    Raises:
        InputError: no such verb.
    """
    words = sys.argv[1:] if argv is None else argv
    if not words or words[0] in ("-h", "--help"):
        print(overview())
        return
    program_of(words[0])(words[1:])


def program_of(verb: str) -> Callable[[list[str]], None]:
    """The `main` of a verb; usage and errors are printed under the name `bayesdl VERB`."""
    if verb not in VERBS:
        raise InputError(f"bayesdl: expected one of {', '.join(VERBS)}, found {verb!r}")
    sys.argv[0] = f"bayesdl {verb}"  # argparse names its program after it
    return importlib.import_module(f"bayesdl_sim.{VERBS[verb][0]}").main


def overview() -> str:
    """The verbs, one line each."""
    width = max(map(len, VERBS))
    lines = [f"  {verb:<{width}}  {words}" for verb, (_, words) in VERBS.items()]
    return "\n".join(["usage: bayesdl VERB ... (bayesdl VERB --help for its options)", "", *lines])


def run() -> None:
    """Entry point of the installed command: a mistake of the user is one line and exit code 2."""
    run_script(main)
