"""The network that step 1 begins with."""

from bayesdl_sim.models.bayesdl import BayesDL, build_network, network_config, with_inputs
from bayesdl_sim.models.members import open_member
from bayesdl_sim.training.run import Run

__all__ = ["initial_network"]


def initial_network(run: Run, number: int = 0) -> BayesDL:
    """A new network, seeded by its number in an ensemble, or the trunk of the member to start from.

    Raises:
        InputError: the member has another input than the settings request.
    """
    seed, inputs, settings = run.seed + number, run.train.inputs, run.settings.network
    if run.members:
        print(f"   starts from {run.members[0]}")
        member = open_member(run.members[0])
        return with_inputs(member, inputs.to_config(), inputs.channels, seed, **settings.dropout)
    options = settings.options
    if settings.backbone == "unet":
        options["averaged"] = inputs.averaged
    config = network_config(
        settings.backbone, "", inputs.to_config(), in_channels=inputs.channels, **options
    )
    return build_network(config, seed)
