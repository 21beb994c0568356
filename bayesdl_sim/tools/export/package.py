"""A posterior as a package of the BioImage Model Zoo, format 0.5."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from bayesdl_sim.bayes.tolerance import DELTA
from bayesdl_sim.data.stacks import RawStack
from bayesdl_sim.inference.posterior import Posterior
from bayesdl_sim.tools.export.documents import (
    CITATIONS,
    channel_names,
    cover_picture,
    environment,
    readme,
)
from bayesdl_sim.tools.export.module import (
    OUTPUTS,
    PosteriorModule,
    module_arguments,
    module_state,
)
from bayesdl_sim.tools.export.onnx_network import ONNX_FILE, require_packages
from bayesdl_sim.tools.machine import project_version
from bayesdl_sim.utils.errors import InputError, writable_folder

if TYPE_CHECKING:
    from bioimageio.spec.model import v0_5

__all__ = ["PACKAGE_FILE", "Described", "write_package"]

PACKAGE_FILE = "bioimageio-package.zip"
WEIGHTS, RAW = "members.pt", "raw.npy"
SMALLEST_SIDE = 32  # raw pixels
# Of the test tensors: other processors round otherwise. An output may be off by 1 % of its maximum.
RELATIVE, ABSOLUTE = 1e-3, 1e-4
RECOMMENDATION = "Use whole fields: never tiles, since fringes and scale are those of the field."
DESCRIPTIONS = {
    "mean": "super-resolved image, scaled to 0..1 by its own range",
    "aleatoric": "standard deviation that the data leave, calibrated",
    "epistemic": "standard deviation between the members, calibrated",
    "credibility": f"probability of an error below {DELTA:.0%} of the range of the structure",
    "calibrated": "total standard deviation, calibrated",
}


@dataclass(frozen=True, kw_only=True)
class Described:
    """The description of a package for its readers.

    Attributes:
        name: 5 to 128 letters, digits, spaces and dashes.
        description: one sentence.
        authors: authors of these members.
    """

    name: str
    description: str
    authors: tuple[str, ...]


def write_package(
    posterior: Posterior,
    stack: RawStack,
    folder: Path,
    described: Described,
    onnx: Path | None = None,
) -> Path:
    """Writes the package as one ZIP file, whole or not at all.

    Args:
        posterior: posterior of two or more members with tails, in float32.
        stack: stack of one time point; its maps are the test tensors and its picture the cover.
        folder: made where it is missing.
        onnx: the file of `write_onnx` with these members, to be attached.

    Returns:
        The path of the ZIP file.

    Raises:
        InputError: a missing package, members or a stack that cannot be used, or texts that the
            format refuses.
    """
    require_packages({"bioimageio.spec": "bioimageio.core"})
    folder = writable_folder(folder).resolve()  # the library would look for files from its root
    target = folder / PACKAGE_FILE
    if len(stack.raw) != 1:
        raise InputError(f"{stack.source}: expected one time point, found {len(stack.raw)}")
    with _work_folder(folder) as work:
        arguments = module_arguments(posterior)
        _write_files(posterior, arguments, stack, work)
        count, fitted = arguments["members"], posterior.calibration.describe()
        text = readme(described.name, count, _release(), fitted, onnx is not None)
        (work / "README.md").write_text(text, encoding="utf-8")
        if onnx is not None:
            shutil.copyfile(onnx, work / ONNX_FILE)
        packed = _pack(_description(arguments, work, described), work)
        packed.replace(target)
    return target


@contextmanager
def _work_folder(folder: Path) -> Iterator[Path]:
    """A hidden folder beside the result, so that the result only changes its name."""
    work = Path(tempfile.mkdtemp(prefix=".package.", suffix=".partial", dir=folder))
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _write_files(
    posterior: Posterior, arguments: dict[str, Any], stack: RawStack, work: Path
) -> None:
    """Weights, test tensors, cover and environment."""
    state = module_state(posterior)
    torch.save(state, work / WEIGHTS)
    module = PosteriorModule(**arguments)
    module.load_state_dict(state)
    raw = np.ascontiguousarray(stack.raw, np.float32)
    maps = dict(zip(OUTPUTS, module(torch.from_numpy(raw)), strict=True))
    np.save(work / RAW, raw)
    for name, image in maps.items():
        np.save(work / f"{name}.npy", image.numpy())
    cover_picture(work / "cover.png", raw[0].mean(axis=0), maps["mean"][0, 0].numpy())
    dependencies = environment(_release(), torch.__version__.partition("+")[0])
    (work / "environment.yaml").write_text(dependencies, encoding="utf-8")


def _release() -> str:
    return project_version().split()[0]


def _description(arguments: dict[str, Any], work: Path, described: Described) -> v0_5.ModelDescr:
    """The description of the model, checked by the library of the zoo.

    Raises:
        InputError: a name, description or author that the format refuses.
    """
    from bioimageio.spec import ValidationContext
    from bioimageio.spec.model import v0_5
    from pydantic import ValidationError

    attached = [path for path in (work / ONNX_FILE,) if path.is_file()]
    try:
        with ValidationContext(root=work, perform_io_checks=True):
            return v0_5.ModelDescr(
                name=described.name,
                description=described.description,
                version=v0_5.Version(_release()),
                authors=[v0_5.Author(name=name) for name in described.authors],
                cite=[v0_5.CiteEntry(text=text, doi=v0_5.Doi(doi)) for text, doi in CITATIONS],
                license=v0_5.LicenseId("Apache-2.0"),
                documentation=v0_5.FileDescr(source=work / "README.md"),
                covers=[v0_5.FileDescr(source=work / "cover.png")],
                tags=[
                    "super-resolution",
                    "structured-illumination-microscopy",
                    "2d",
                    "fluorescence-light-microscopy",
                    "uncertainty",
                    "pytorch",
                ],
                inputs=[_input(work)],
                outputs=[_output(work, name) for name in OUTPUTS],
                weights=_weights(arguments, work),
                attachments=[v0_5.FileDescr(source=path) for path in attached],
                config=_config(),
            )
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        if not place.startswith(("name", "description", "authors")):
            raise
        raise InputError(f"export: {place}: {first['msg']}; choose another text") from None


def _input(work: Path) -> v0_5.InputTensorDescr:
    from bioimageio.spec.model import v0_5

    size = v0_5.ParameterizedSize(min=SMALLEST_SIDE, step=1)
    return v0_5.InputTensorDescr(
        id=v0_5.TensorId("raw"),
        description="camera counts of nine frames, orientation-major; a whole field",
        axes=[
            v0_5.BatchAxis(),
            v0_5.ChannelAxis(channel_names=[_word(name) for name in channel_names()]),
            v0_5.SpaceInputAxis(id=v0_5.AxisId("y"), size=size),
            v0_5.SpaceInputAxis(id=v0_5.AxisId("x"), size=size),
        ],
        data=v0_5.IntervalOrRatioDataDescr(type="float32"),
        test_tensor=v0_5.FileDescr(source=work / RAW),
    )


def _word(name: str) -> str:
    """A channel name as the format has it: an identifier."""
    return name.replace(", ", "_").replace(" ", "")


def _output(work: Path, name: str) -> v0_5.OutputTensorDescr:
    from bioimageio.spec.model import v0_5

    def side(axis: str) -> v0_5.SpaceOutputAxis:
        # The size of the reference times its scale over this scale: twice as many pixels.
        size = v0_5.SizeReference(tensor_id=v0_5.TensorId("raw"), axis_id=v0_5.AxisId(axis))
        return v0_5.SpaceOutputAxis(id=v0_5.AxisId(axis), size=size, scale=0.5)

    return v0_5.OutputTensorDescr(
        id=v0_5.TensorId(name),
        description=DESCRIPTIONS[name],
        axes=[
            v0_5.BatchAxis(),
            v0_5.ChannelAxis(channel_names=[name]),
            side("y"),
            side("x"),
        ],
        data=v0_5.IntervalOrRatioDataDescr(type="float32"),
        test_tensor=v0_5.FileDescr(source=work / f"{name}.npy"),
    )


def _weights(arguments: dict[str, Any], work: Path) -> v0_5.WeightsDescr:
    from bioimageio.spec.model import v0_5

    architecture = v0_5.ArchitectureFromLibraryDescr(
        callable=v0_5.Identifier(PosteriorModule.__name__),
        import_from=PosteriorModule.__module__,
        kwargs=arguments,
    )
    return v0_5.WeightsDescr(
        pytorch_state_dict=v0_5.PytorchStateDictWeightsDescr(
            source=work / WEIGHTS,
            architecture=architecture,
            pytorch_version=v0_5.Version(torch.__version__.partition("+")[0]),
            dependencies=v0_5.FileDescr(source=work / "environment.yaml"),
        )
    )


def _config() -> v0_5.Config:
    """The tolerances of the test tensors, and the limits of use."""
    from bioimageio.spec.model import v0_5

    tolerance = v0_5.ReproducibilityTolerance(
        relative_tolerance=RELATIVE, absolute_tolerance=ABSOLUTE
    )
    limits = v0_5.BiasRisksLimitations(
        known_biases="Trained on simulated cells of six kinds of structures.",
        risks="Without fringes the image is a deconvolved wide field, and looks sharp even so.",
        limitations="Nine frames of two-beam 2D-SIM only; no verdict, which `bayesdl test` gives.",
        recommendations=RECOMMENDATION,
    )
    return v0_5.Config(
        bioimageio=v0_5.BioimageioConfig(
            reproducibility_tolerance=[tolerance],
            task="super-resolution",
            modality="structured illumination microscopy",
            bias_risks_limitations=limits,
        )
    )


def _pack(description: v0_5.ModelDescr, work: Path) -> Path:
    from bioimageio.spec import save_bioimageio_package

    return Path(save_bioimageio_package(description, output_path=work / "packed.zip"))
