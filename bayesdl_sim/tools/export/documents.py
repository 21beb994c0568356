"""The texts and the picture of a BioImage Model Zoo package."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.image import imsave
from numpy.typing import NDArray
from scipy.ndimage import zoom

from bayesdl_sim.bayes.tolerance import DELTA
from bayesdl_sim.utils.pictures import display_limits

__all__ = ["CITATIONS", "channel_names", "cover_picture", "environment", "readme"]

COVER_SIDE = 360  # pixels of each half; the zoo requires 2:1 and less than 500 KB
ORIENTATIONS, PHASES = 3, 3
CITATIONS = (  # text, DOI
    (
        "T. Liu, J. Liu, D. Li, S. Tan: Bayesian deep-learning structured illumination microscopy "
        "enables reliable super-resolution imaging with uncertainty quantification. Nature "
        "Communications 16 (2025)",
        "10.1038/s41467-025-60093-w",
    ),
)


def channel_names() -> list[str]:
    """Names of the nine input channels, in orientation-major order."""
    return [
        f"orientation {orientation + 1}, phase {phase + 1}"
        for orientation in range(ORIENTATIONS)
        for phase in range(PHASES)
    ]


def cover_picture(path: Path, wide_field: NDArray, sr: NDArray) -> Path:
    """Writes the wide field beside the super-resolved image, each a square of the same field.

    Args:
        wide_field: (H, W), any units.
        sr: (2H, 2W).
    """
    halves = [_coloured(wide_field, "gray"), _coloured(sr, "magma")]
    imsave(path, np.concatenate(halves, axis=1))
    return path


def _coloured(image: NDArray, colours: str) -> NDArray:
    """The middle square of an image as RGB bytes (COVER_SIDE, COVER_SIDE, 3)."""
    side = min(image.shape)
    top, left = ((n - side) // 2 for n in image.shape)
    square = image[top : top + side, left : left + side]
    enlarged = zoom(square, COVER_SIDE / side, order=1, grid_mode=True, mode="nearest")
    low, high = display_limits(enlarged)
    return colormaps[colours](np.clip((enlarged - low) / (high - low), 0, 1), bytes=True)[..., :3]


def environment(version: str, torch_version: str) -> str:
    """The conda environment in which the package runs, as YAML."""
    return (
        "name: bayesdl-sim\n"
        "channels: [conda-forge]\n"
        "dependencies:\n"
        "  - python >=3.11,<3.15\n"
        "  - pip\n"
        "  - pip:\n"
        f"    - torch=={torch_version}\n"
        f"    - bayesdl-sim=={version}\n"
    )


def readme(
    name: str, members: int, version: str, calibration: Sequence[str], with_onnx: bool
) -> str:
    """The documentation of the package, in Markdown.

    Args:
        calibration: what it was fitted on, in lines, see `Calibration.describe`.
    """
    frames = [f"{number}. {frame}" for number, frame in enumerate(channel_names(), start=1)]
    text = _README.format(
        name=name,
        members=members,
        version=version,
        delta=DELTA,
        frames="\n".join(frames),
        calibration="\n".join(f"- {line}" for line in calibration),
    )
    return text + (_ONNX if with_onnx else "")


_README = """# {name}

{members} members of a Bayesian posterior, of BayesDL-SIM {version}, turn nine raw frames of 2D
structured illumination microscopy into a super-resolved image on a doubled grid, with
uncertainties.

## Use whole fields

The fringe patterns and the intensity scale are estimated from the whole field, inside the model.
**Give it whole fields, never tiles**: large fields are cut and put together inside, with the same
result. Any height and width from 32 pixels on will do; below 64 the fringes are hard to see.

## Input

`raw`: camera counts, not normalised, batch x 9 x y x x, in this order:

{frames}

The model does not sort frames. The program `bayesdl test` does so where the fringes prove an order.

## Outputs

Each is batch x 1 x 2y x 2x.

| output | meaning |
|---|---|
| `mean` | super-resolved image, scaled to 0..1 by its smallest and largest value |
| `aleatoric` | standard deviation that the data leave: noise, weak fringes, limited support |
| `epistemic` | standard deviation between the members |
| `credibility` | probability that the error is below {delta:.0%} of the range of the structure |
| `calibrated` | total standard deviation |

The three standard deviations are calibrated and have the scale of `mean`. Pixels without data are
NaN.

## No verdict

The model reconstructs whatever it is given. `bayesdl test` also judges the frames and the result
(copied frames, no fringes, saturation, motion, an unusual result), and refuses some. Use it where a
wrong image would cost you.

## Validation

Calibration of these members:

{calibration}

Accuracy, coverage and what fails are in the model card and in `docs/results.md` of the project,
under the commands that measure them. For images of your own microscope, measure them with
`bayesdl evaluate` on stacks whose truth you know.
"""

_ONNX = """
## network.onnx

The members without what surrounds them, for other programs. Input `shown`: batch x 13 x y x x, y
and x multiples of 4. Channels 1 to 9 are the frames, `(counts - low) / (high - low)` with the 0.1
and 99.9 percentiles of the stack; 10 to 13 are the sub-pixels (0, 0), (0, 1), (1, 0), (1, 1) of a
Wiener reconstruction on the doubled grid, in counts above background, divided by `high - low`.
Outputs `sr` (the mean), `aleatoric` and `epistemic` are on the scale of the frames and not
calibrated.
"""
