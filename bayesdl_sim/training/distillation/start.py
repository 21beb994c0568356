"""The network that a distillation begins with."""

from collections.abc import Sequence

import torch

from bayesdl_sim.models.bayesdl import (
    DISTILLED,
    BayesDL,
    Member,
    UncertaintyTail,
    build_network,
)
from bayesdl_sim.utils.errors import InputError

__all__ = ["as_student"]


def as_student(members: Sequence[Member]) -> BayesDL:
    """A network that predicts both uncertainties, from the mean of the members' weights.

    Draws of one chain lie in one valley, where the network of their mean weights predicts about
    their mean image. The tail gets one map more, the log-variance of the model, flat at first.

    Args:
        members: members of one chain, or a single one.

    Raises:
        InputError: members without a Gaussian tail, or whose backbone has a tail of its own.
    """
    config, tail = members[0].network.config, members[0].network.tail
    if config["likelihood"] != "gauss" or not isinstance(tail, UncertaintyTail):
        raise InputError(
            "a student starts from a member of the backbone unet with a gauss tail, found "
            f"{config['backbone']} with {config['likelihood'] or 'no tail'}: choose other members"
        )
    states = [member.network.state_dict() for member in members]
    state = {name: torch.stack([s[name] for s in states]).mean(dim=0) for name in states[0]}
    for name in ("tail.output.weight", "tail.output.bias"):
        state[name] = torch.cat([state[name], torch.zeros_like(state[name])])
    network = build_network({**config, "likelihood": DISTILLED})
    network.load_state_dict(state)
    return network
