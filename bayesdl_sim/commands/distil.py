"""Distils a posterior into one network, the student of `test.py --fast`.

    python -m bayesdl_sim.commands.distil --pretrained_G checkpoint/F-actin/pretrained_G \\
        --root_dir runs/set runs/outliers --patches 1000 200 --work runs/student

The teacher's predictions are computed once and kept in `--work`; interrupted, run it again. The
student lies in `student/` beside the members; calibrate it like any posterior, with `calibrate.py`.
"""

from __future__ import annotations

from pathlib import Path

from bayesdl_sim.models.shipped import STUDENT_FOLDER, shipped_folder
from bayesdl_sim.training.distillation.settings import DistilSettings
from bayesdl_sim.utils.console.options import CommandLine
from bayesdl_sim.utils.errors import run_script, writable_folder
from bayesdl_sim.utils.folders.lock import owned_folder

__all__ = ["main", "parse_args"]


def parse_args(argv: list[str] | None = None) -> DistilSettings:
    """The settings of a command line."""
    parser = CommandLine(
        description="Distils the members of a posterior into one network.", allow_abbrev=False
    )
    add = parser.add_argument
    add(
        "--root_dir",
        type=Path,
        nargs="+",
        required=True,
        help="data sets whose patches teacher and student see",
    )
    add("--patches", type=int, nargs="+", default=[1000], help="of each set (%(default)s)")
    add("--pretrained_G", type=Path, default=shipped_folder(), help="members (%(default)s)")
    add("--save_path", type=Path, help="folder of the student (student/ beside the members)")
    add("--work", type=Path, required=True, help="folder of what is kept on the way")
    add(
        "--start_from",
        type=int,
        nargs="+",
        default=[1],
        help="members whose mean weights it starts with; draws of one chain (%(default)s)",
    )
    add("--init_from", type=Path, help="folder of an earlier student, to fit it further instead")
    add("--held_out", type=int, default=48, help="patches of the first set that are only scored")
    add("--patch_size", type=int, default=96, help="raw pixels (%(default)s)")
    add("--steps", type=int, default=3000, help="(%(default)s)")
    add("--batch_size", type=int, default=4, help="patches per step (%(default)s)")
    add("--lr", type=float, default=4e-4, help="largest step size (%(default)s)")
    add(
        "--blend",
        type=float,
        default=1.0,
        help="share of the fitted weights, the rest those of the start (%(default)s: as fitted)",
    )
    add("--seed", type=int, default=0, help="of patches and batches (%(default)s)")
    add("--sample", default="F-actin", help="name of the structure (%(default)s)")
    add("--device", default="auto", help="auto, cpu, cuda or cuda:n (%(default)s)")
    add("--gpu_id", type=int, help="number of the GPU")
    add("--precision", choices=["auto", "fp32", "bf16"], default="auto")
    args = parser.parse_args(argv)
    options = vars(args)
    lists = {name: tuple(options.pop(name)) for name in ("patches", "start_from")}
    save_path = options.pop("save_path") or args.pretrained_G / STUDENT_FOLDER
    return DistilSettings(
        root_dirs=tuple(options.pop("root_dir")), save_path=save_path, **lists, **options
    )


def main(argv: list[str] | None = None) -> None:
    """Distils, in a work folder that is locked for this process."""
    settings = parse_args(argv)
    from bayesdl_sim.training.distillation.fit import distil

    with owned_folder(writable_folder(settings.work)):
        distil(settings)


if __name__ == "__main__":
    run_script(main)
