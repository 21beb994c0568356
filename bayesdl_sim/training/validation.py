"""Scores on whole validation fields, of the mean after step 1 and of the tail after step 2."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bayesdl_sim.bayes.likelihoods import find_likelihood, standard_deviation
from bayesdl_sim.metrics.images import quality
from bayesdl_sim.models.bayesdl import BayesDL
from bayesdl_sim.training.run import Run
from bayesdl_sim.utils.devices import autocast

__all__ = ["MeanScores", "TailScores", "spread_out", "validate", "validate_tail"]


class MeanScores(NamedTuple):
    """PSNR (dB) and SSIM, averaged over fields, and the first reconstruction (2H, 2W)."""

    psnr: float
    ssim: float
    picture: NDArray


class TailScores(NamedTuple):
    """Negative log-likelihood per pixel, and the standard deviation of the first field."""

    nll: float
    picture: Tensor


def spread_out(count: int, most: int) -> list[int]:
    """At most `most` indices, evenly over 0 .. count - 1."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int)).tolist()


@torch.no_grad()
def validate(network: BayesDL, run: Run) -> MeanScores:
    """Scores the mean of a network, which is left in evaluation mode."""
    network.eval()
    scores, picture = [], None
    for index in spread_out(len(run.validation), run.settings.data.val_stacks):
        stack = run.validation.stack(index)
        with autocast(run.device, run.dtype):
            mean = network(stack.raw[None].to(run.device)).mean
        image = mean[0, 0].float().cpu().numpy()
        picture = image if picture is None else picture
        scores.append(quality(image, stack.target[0].numpy()))
    psnr, ssim = (float(np.mean([getattr(s, name) for s in scores])) for name in ("psnr", "ssim"))
    return MeanScores(psnr, ssim, picture)


@torch.no_grad()
def validate_tail(network: BayesDL, run: Run) -> TailScores:
    """Scores the tail of a network by its own likelihood."""
    likelihood = run.settings.tail.likelihood
    nll, values, picture = find_likelihood(likelihood).nll, [], None
    for index in spread_out(len(run.validation), run.settings.data.val_stacks):
        stack = run.validation.stack(index)
        with autocast(run.device, run.dtype):
            mean, parameters = network(stack.raw[None].to(run.device))
        values.append(nll(mean, parameters, stack.target[None].to(run.device)).item())
        if picture is None:
            # A Student-t of few degrees of freedom has no deviation, which no picture can show.
            picture = standard_deviation(likelihood, parameters)[0, 0].clamp(max=1)
    return TailScores(float(np.mean(values)), picture)
