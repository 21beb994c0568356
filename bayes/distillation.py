"""Energy of a distilled network: distance to the predictive distribution of its teacher."""

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["DistillationTerms", "distillation_loss", "log_variances"]

MEAN_WEIGHT, DEVIATION_WEIGHT = 4.0, 0.25
SMALL = 1e-8  # variance of the normalised intensity


class DistillationTerms(NamedTuple):
    """Scalars of a batch.

    Attributes:
        total: what is minimised.
        mean: mean square distance to the teacher's mean, over its total variance in that patch.
        aleatoric, epistemic: mean distance of the log-variances.
    """

    total: Tensor
    mean: Tensor
    aleatoric: Tensor
    epistemic: Tensor


def distillation_loss(
    mean: Tensor, parameters: Tensor, teacher_mean: Tensor, teacher_parameters: Tensor
) -> DistillationTerms:
    """`4 < <(m - m_T)^2> / <sigma_T^2> > + (<|a - a_T|> + <|e - e_T|>) / 4`.

    `a` and `e` are the log-variances of the data and of the model; the inner means run over the
    pixels of a patch, so that dim and bright patches count alike. Half of the first mean is about
    what the student adds to the squared error of its teacher, relative to it.

    Args:
        mean, teacher_mean: (B, 1, 2H, 2W), normalised intensity.
        parameters, teacher_parameters: (B, 2, 2H, 2W), `a` and `e`.

    Source: this project's; the idea is that of Bulò, Porzi and Kontschieder (2016) and Malinin,
    Mlodozeniec and Gales (2020).
    """
    variance = teacher_parameters.exp().sum(dim=1, keepdim=True)
    share = (mean - teacher_mean).square().mean(dim=(1, 2, 3))
    share = (share / (variance.mean(dim=(1, 2, 3)) + SMALL)).mean()
    aleatoric, epistemic = (parameters - teacher_parameters).abs().mean(dim=(0, 2, 3))
    total = MEAN_WEIGHT * share + DEVIATION_WEIGHT * (aleatoric + epistemic)
    return DistillationTerms(total, share, aleatoric, epistemic)


def log_variances(aleatoric: Tensor, epistemic: Tensor) -> Tensor:
    """Two deviations (B, 1, 2H, 2W) as the parameters (B, 2, 2H, 2W) of a distilled network."""
    return torch.cat([aleatoric, epistemic], dim=1).square().clamp(min=SMALL**2).log()
