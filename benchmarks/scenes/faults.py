"""Ways to misuse a SIM reconstruction, each simulated: what the gate should detect.

Which of them are *gross* is declared here, before anything is measured: those after which no
reconstruction means anything, because the frames are not the nine frames of one field, carry no
fringes where they are expected, or hold no structure that light microscopy could show.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from bayesdl_sim.benchmarks.scenes.charts import CHARTS
from bayesdl_sim.benchmarks.scenes.kept_out import MICROSCOPES, Scenario, scene_of
from bayesdl_sim.evaluation.scenes import Scene
from bayesdl_sim.physics.image_formation import Grid, expected_frames, soften
from bayesdl_sim.physics.microscopes import Microscope, relit
from bayesdl_sim.utils.sampling import uniform

__all__ = ["FAULTS", "FRAME_FAULTS", "GROSS", "WEAK", "fault_scene"]

SWAPPED = [0, 1, 3, 2, 4, 5, 6, 7, 8]  # the last of one orientation and the first of the next
MISSING = [1, 2, 3, 4, 5, 6, 7, 8, 8]  # the first was lost, all others moved up


def _steps(*degrees: float) -> Callable[[Microscope, torch.Generator], Microscope]:
    """Other phase steps than 120 degrees, the same in all orientations."""

    def change(microscope: Microscope, generator: torch.Generator) -> Microscope:
        light = microscope.illumination
        phase = tuple(
            tuple(steps[0] + math.radians(angle) for angle in degrees) for steps in light.phase
        )
        return relit(microscope, phase=phase)

    return change


def _modulated(low: float, high: float) -> Callable[[Microscope, torch.Generator], Microscope]:
    def change(microscope: Microscope, generator: torch.Generator) -> Microscope:
        depth = uniform(generator, low, high)
        return relit(microscope, modulation=(depth,) * 3)

    return change


def _defocused(
    structure: Tensor, microscope: Microscope, grid: Grid, generator: torch.Generator
) -> Tensor:
    """Everything through a Gaussian of sigma 2-3 raw pixels, as far out of focus."""
    sigma = 2 * uniform(generator, 2.0, 3.0)  # pixels of the doubled grid
    return expected_frames(soften(structure, sigma, pixel_size_nm=1.0), microscope, grid)


def _moving(pixels: tuple[float, float]) -> Callable[..., Tensor]:
    """The sample moves steadily, so many raw pixels from the first to the last frame."""

    def image(
        structure: Tensor, microscope: Microscope, grid: Grid, generator: torch.Generator
    ) -> Tensor:
        angle, way = uniform(generator, 0, 2 * math.pi), 2 * uniform(generator, *pixels)
        frames = []
        for f in range(9):
            shift = [round(way * f / 8 * x) for x in (math.sin(angle), math.cos(angle))]
            moved = structure.roll(shift, dims=(0, 1))
            frames.append(expected_frames(moved, microscope, grid)[f])
        return torch.stack(frames)

    return image


def _unlit(raw: Tensor, generator: torch.Generator) -> Tensor:
    """One frame of the nine was taken with the shutter closed."""
    frame = int(torch.randint(0, 9, (), generator=generator))
    dark = torch.full_like(raw[:, frame], float(raw.min()))
    noise = torch.randn(dark.shape, generator=generator) * 3
    raw = raw.clone()
    raw[:, frame] = (dark + noise).round().clamp(min=0)
    return raw


def _repeated(raw: Tensor, generator: torch.Generator) -> Tensor:
    """One exposure stored twice, in place of its neighbour."""
    frame = int(torch.randint(0, 8, (), generator=generator))
    raw = raw.clone()
    raw[:, frame + 1] = raw[:, frame]
    return raw


def _one_wide_field(raw: Tensor, generator: torch.Generator) -> Tensor:
    """One wide-field image nine times."""
    return raw.mean(dim=1, keepdim=True).round().repeat(1, 9, 1, 1)


def _saturated(raw: Tensor, generator: torch.Generator) -> Tensor:
    """The brightest 2-10 % of all values are cut off."""
    top = raw.flatten().quantile(1 - uniform(generator, 0.02, 0.10))
    return torch.minimum(raw, top)


def _hot(raw: Tensor, generator: torch.Generator) -> Tensor:
    """0.3 % of the pixels are far too bright, in all frames."""
    where = torch.rand(raw.shape[-2:], generator=generator) < 0.003
    return raw + where * 3 * (raw.max() - raw.min())


FAULTS = {
    "frames in phase-major order": MICROSCOPES["frames in phase-major order"],
    "two frames swapped": Scenario(kind="frames", order=SWAPPED),
    "first frame lost": Scenario(kind="frames", order=MISSING),
    "one frame dark": Scenario(kind="frames", spoil=_unlit),
    "one exposure stored twice": Scenario(kind="frames", spoil=_repeated),
    "one phase taken twice": Scenario(kind="frames", change=_steps(0, 0, 120)),
    "phase steps of 90 degrees": Scenario(kind="frames", change=_steps(0, 90, 180)),
    "two orientations only": MICROSCOPES["two orientations only"],
    "one wide field, nine times": Scenario(kind="no SIM", spoil=_one_wide_field),
    "nine wide fields": MICROSCOPES["wide field fed as SIM"],
    "motion of 4-8 px": Scenario(kind="sample", image=_moving((4.0, 8.0))),
    "saturation of 2-10 %": Scenario(kind="camera", spoil=_saturated),
    "motion of 1-2 px": Scenario(kind="sample", image=_moving((1.0, 2.0))),
    "hot pixels, 0.3 %": Scenario(kind="camera", spoil=_hot),
    "modulation 0.02-0.06": Scenario(kind="microscope", change=_modulated(0.02, 0.06)),
    "defocus": Scenario(kind="sample", image=_defocused),
    "signal 0.4-2 e-/px": Scenario(kind="signal", signals=(0.4, 2.0)),
    "pattern 0.10-0.14 cycles/px": MICROSCOPES["pattern 0.10-0.14 cycles/px"],
    "cut-off 0.15-0.20 cycles/px": MICROSCOPES["cut-off 0.15-0.20 cycles/px"],
    "cut-off 0.5 cycles/px": MICROSCOPES["cut-off 0.5 cycles/px"],
    "photographs and textures": Scenario(
        kind="structure", chart=CHARTS["photographs and textures"]
    ),
    "resolution charts": Scenario(kind="structure", chart=CHARTS["line pairs"]),
}
FRAME_FAULTS = tuple(name for name, fault in FAULTS.items() if fault.kind == "frames") + (
    "frames in phase-major order",
    "two orientations only",
)
GROSS = (
    *FRAME_FAULTS,
    "one wide field, nine times",
    "nine wide fields",
    "motion of 4-8 px",
    "saturation of 2-10 %",
)
WEAK = "signal 0.4-2 e-/px"  # the level below the training range, which begins at 2


def fault_scene(name: str, index: int, size: int, seed: int) -> Scene:
    """Scene `index` of a fault, one exposure, a function of these arguments alone."""
    entropy = [seed, 1000 + list(FAULTS).index(name), index]
    return scene_of(name, FAULTS[name], entropy, index, 1, size)
