"""A posterior as a package of the BioImage Model Zoo, and its network as ONNX.

    python -m bayesdl_sim.tools.export --save_path runs/export
    bayesdl export --save_path runs/export --pretrained_G checkpoint/F-actin/BayesDL-SIM

Writes bioimageio-package.zip and network.onnx. They need packages: pip install ".[export]".
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from bayesdl_sim.models.shipped import shipped_folder
from bayesdl_sim.utils.console.options import CommandLine
from bayesdl_sim.utils.console.threads import set_threads
from bayesdl_sim.utils.errors import InputError, run_script, writable_folder

__all__ = ["main", "parse_args"]

FORMATS = ("zoo", "onnx")
NAME = "BayesDL-SIM"
DESCRIPTION = (
    "Super-resolved image of nine raw 2D-SIM frames with calibrated uncertainties, by a Bayesian "
    "posterior; use whole fields"
)
AUTHORS = ("The BayesDL-SIM authors",)


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = CommandLine(
        prog="python -m bayesdl_sim.tools.export",
        description="Writes a posterior as a package of the BioImage Model Zoo, and as ONNX.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--save_path", type=Path, required=True, help="folder of the package")
    add("--pretrained_G", type=Path, help="folder of members (default: the shipped posterior)")
    add("--members", type=int, help="use the first so many members only (default: all)")
    add("--formats", nargs="+", choices=FORMATS, default=FORMATS, help="(default: both)")
    add(
        "--test_data",
        type=Path,
        help="raw stack of the test tensors and the cover (default: the cristae that are shipped)",
    )
    add("--name", default=NAME, help="title of the package (default %(default)s)")
    add("--description", default=DESCRIPTION, help="one sentence (default: that of the shipped)")
    add("--author", nargs="+", default=AUTHORS, help="names (default: those of CITATION.cff)")
    args = parser.parse_args(argv)
    if args.members is not None and args.members < 2:
        raise InputError(f"--members: expected at least 2, found {args.members}")
    return args


def main(argv: Sequence[str] | None = None) -> None:
    """Writes the files, and prints where they are."""
    args = parse_args(argv)
    writable_folder(args.save_path)
    set_threads()
    # Only now: OpenMP reads its settings when PyTorch is loaded.
    from bayesdl_sim.data.stacks import read_stack
    from bayesdl_sim.inference.posterior import Posterior
    from bayesdl_sim.tools.doctor import example_stack
    from bayesdl_sim.tools.export.onnx_network import ONNX_FILE, write_onnx
    from bayesdl_sim.tools.export.package import Described, write_package

    folder = args.pretrained_G or shipped_folder()
    posterior = Posterior.load(folder, "cpu", args.members, precision="fp32")
    onnx = None
    if "onnx" in args.formats:
        onnx = write_onnx(posterior, args.save_path / ONNX_FILE)
        print(onnx)
    if "zoo" in args.formats:
        stack = read_stack(args.test_data or example_stack())
        texts = Described(name=args.name, description=args.description, authors=tuple(args.author))
        print(write_package(posterior, stack, args.save_path, texts, onnx))


if __name__ == "__main__":
    run_script(main)
