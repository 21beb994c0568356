"""A prior on functions: away from the training data, members may not agree.

A prior on weights hardly constrains the output of a network for an input that is like none of its
training. So all members of a posterior go on doing the same there, and their spread, the epistemic
uncertainty, is as small as on the data. This prior is on the function itself. A chain `c` is
given the prior function

    p_c(x) = (1 + g_c) y(x),

the true image with another gain, and the energy of step 1 gets a second term over outliers `x`,
stacks unlike the training data:

    L = <E(f(x), y)>_data + <E(f(x), p_c(x))>_outliers.

Chains with gains of opposite sign (antithetic draws) agree on the data, differ by the gain away
from them, and their mean is that of the truth in both places.

Source: Hafner et al., "Noise contrastive priors for functional uncertainty", UAI 2019, where the
outliers are noisy copies of the data and the prior function is a Gaussian; and Pagliardini et al.,
"Agree to disagree", ICLR 2023, for networks that are trained to differ away from the data.
"""

from torch import Tensor

from bayesdl_sim.utils.errors import InputError

__all__ = ["prior_function"]


def prior_function(target: Tensor, gain: float) -> Tensor:
    """The image that a chain with this gain should make of an outlier: `(1 + gain) target`.

    Args:
        target: (B, 1, 2H, 2W), normalised intensity, background at 0.
        gain: gain of this chain, above -1; 0 would be no prior but a larger training set.

    Raises:
        InputError: a gain of -1 or less, which would turn bright into dark.
    """
    if gain <= -1:
        raise InputError(f"the gain of a prior function must be above -1, found {gain:g}")
    return (1 + gain) * target
