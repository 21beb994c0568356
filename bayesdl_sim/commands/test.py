"""The command `test`: its options first, then the work, for which PyTorch is loaded."""

from __future__ import annotations

from collections.abc import Sequence

from bayesdl_sim.commands.many.fork_server import start_fork_server
from bayesdl_sim.commands.testing.options import parse_args
from bayesdl_sim.utils.console.loading import loaded_for_good
from bayesdl_sim.utils.console.threads import set_threads

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> None:
    """Reconstructs all stacks; one that fails does not stop the others."""
    settings = parse_args(argv)
    set_threads(settings.threads)
    if settings.workers is not None:
        start_fork_server()
    # Only now: `--help` stays quick, and OpenMP reads its settings when PyTorch is loaded.
    with loaded_for_good():
        from bayesdl_sim.commands.testing.run import run

    run(settings)
