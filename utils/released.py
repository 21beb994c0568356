"""Options of the released scripts that this code no longer needs: known by name, without effect."""

import argparse
from collections.abc import Mapping
from typing import Any

__all__ = ["NETWORK_OPTIONS", "RELEASED_OPTIONS", "accept_without_effect", "first_gpu"]

# Option of the released train.py -> why it has no effect, and what to use instead.
RELEASED_OPTIONS = {
    "num_workers": "the reader is memory-mapped and has no worker processes",
    "start_epoch": "--resume goes on where a run ended",
    "model_D": "there is no adversarial training",
    "pretrained_D": "there is no adversarial training",
    "adv_lambda": "there is no adversarial training",
    "mse_lambda": "the energy is --mae_lambda, --fft_lambda and --ssim_lambda",
    "act": "ReLU in the U-Net and in rcan, GELU in dfcan",
    "CA_type": "every backbone has its own attention",
    "augs": "flips, turns and orders of frames are drawn where the microscope is random",
    "mfvi": "mean-field variational inference does not exist; see --posterior",
}
# The same of its demo_test.py, which needed to be given what the checkpoint stores here.
_STORED = "model n_feat nGroups nBlocks drop drop2d act CA_type likelihood likehood sgld SGLD mfvi"
NETWORK_OPTIONS = dict.fromkeys(_STORED.split(), "the checkpoint says it")


class _WithoutEffect(argparse.Action):
    def __init__(self, *args: Any, reason: str, **options: Any) -> None:
        super().__init__(*args, **options)
        self.reason = reason

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        print(f"{option_string} {values}: has no effect any more ({self.reason})")


def accept_without_effect(parser: argparse.ArgumentParser, options: Mapping[str, str]) -> None:
    """Lets a command line hold options that do nothing, each of which prints that when it is used.

    Args:
        options: name, without dashes -> why it has no effect.
    """
    for name, reason in options.items():
        parser.add_argument(
            f"--{name}",
            action=_WithoutEffect,
            reason=reason,
            dest=argparse.SUPPRESS,
            default=argparse.SUPPRESS,
            help=argparse.SUPPRESS,
        )


def first_gpu(text: str) -> int:
    """Type of `--gpu_id`: a number; of several, as the released scripts take them, the first."""
    try:
        numbers = [int(word) for word in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected the number of a GPU, found {text!r}") from None
    if len(numbers) > 1:
        print(f"--gpu_id {text}: one GPU is used, number {numbers[0]}")
    return numbers[0]
