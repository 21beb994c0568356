"""The members as one ONNX file, for programs with their own normalisation and first guess.

The inputs are those of the networks: nine frames and the four sub-pixels of the first guess, all
normalised, see `data.inputs`. The outputs are not calibrated, and on the scale of the input.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bayesdl_sim.bayes.likelihoods import standard_deviation
from bayesdl_sim.data.inputs import input_spec
from bayesdl_sim.inference.posterior import Posterior
from bayesdl_sim.models.fields.poses import in_poses
from bayesdl_sim.models.members import open_member
from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.files import atomic_path

__all__ = ["ONNX_FILE", "ONNX_OUTPUTS", "MemberEnsemble", "require_packages", "write_onnx"]

ONNX_FILE = "network.onnx"
ONNX_OUTPUTS = ("sr", "aleatoric", "epistemic")  # "mean" is the name of an operation
OPSET = 18
TRACED_SIZE = 48  # raw pixels; any multiple of the stride gives the same graph
EXTRA = "export"  # of pyproject.toml


class MemberEnsemble(nn.Module):
    """Members of one posterior with the law of total variance, as a plain network.

    Args:
        networks: two or more networks with tails of this likelihood.
        likelihood: a key of `bayes.likelihoods.LIKELIHOODS`.
        poses: in which each network is shown the field, see `models.fields.poses`.
    """

    def __init__(
        self, networks: list[nn.Module], likelihood: str, poses: Sequence[Sequence[int]]
    ) -> None:
        super().__init__()
        self.networks, self.likelihood = nn.ModuleList(networks), likelihood
        self.poses = tuple(tuple(own) for own in poses)

    def forward(self, shown: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Network inputs (B, F, H, W) -> mean, aleatoric and epistemic, each (B, 1, 2H, 2W)."""
        asked = zip(self.networks, self.poses, strict=True)
        outputs = [in_poses(network, shown, poses) for network, poses in asked]
        means = torch.stack([mean for mean, _ in outputs])
        deviations = [standard_deviation(self.likelihood, tail) for _, tail in outputs]
        aleatoric = torch.stack(deviations).square().mean(dim=0).sqrt()
        centre = means.mean(dim=0)
        spread = (means - centre).square().sum(dim=0) / (len(outputs) - 1)
        return centre, aleatoric, spread.sqrt()


def require_packages(names: Mapping[str, str]) -> None:
    """`InputError` that names the package to install, if one is missing.

    Args:
        names: module -> name of its package.
    """
    missing = [package for module, package in names.items() if not _is_installed(module)]
    if missing:
        raise InputError(
            f"export needs {', '.join(missing)}: python -m pip install 'bayesdl-sim[{EXTRA}]'"
        )


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # of its parent
        return False


def write_onnx(posterior: Posterior, path: Path) -> Path:
    """Writes the members as one ONNX file; batch, height and width are free.

    Height and width have to be multiples of the stride of the network: pad by repeating the last
    row and column, as `models.unet.pad_to_multiple` does.

    Raises:
        InputError: a missing package, or members without a total uncertainty.
    """
    require_packages({"onnx": "onnx", "onnxscript": "onnxscript"})
    if not posterior.has_tail or len(posterior.members) < 2:
        raise InputError("expected two or more members with uncertainty tails for ONNX")
    import onnx

    networks = [open_member(member.path).network.float() for member in posterior.members]
    stride, channels = networks[0].stride, input_spec(networks[0].config).channels
    poses = [member.poses for member in posterior.members]
    ensemble = MemberEnsemble(networks, posterior.likelihood, poses).eval()
    shown = torch.zeros(2, channels, TRACED_SIZE, TRACED_SIZE)
    with atomic_path(path) as partial, torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the tracer, about its own future
        program = torch.onnx.export(
            ensemble,
            (shown,),
            input_names=["shown"],
            output_names=list(ONNX_OUTPUTS),
            dynamic_shapes=(_free(stride),),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
        program.save(partial, external_data=False)
        onnx.checker.check_model(str(partial))
    return path


def _free(stride: int) -> dict[int, Any]:
    """Batch, height and width may have any size; the last two in whole strides."""
    sides = {2: torch.export.Dim("rows", min=4), 3: torch.export.Dim("columns", min=4)}
    return {0: torch.export.Dim("batch")} | {axis: stride * side for axis, side in sides.items()}
