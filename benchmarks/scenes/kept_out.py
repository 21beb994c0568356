"""Structures and microscopes that no training set of this project holds.

The epistemic uncertainty should be large for photographs, resolution charts, letters and plain
geometry in place of cells, and for microscopes whose light differs from every one of
`random_microscope`, or whose frames come in another order. Everything else (optics, noise, signal)
is drawn as in training.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from bayesdl_sim.benchmarks.scenes.charts import CHARTS
from bayesdl_sim.data.formats.otf import measured_optics
from bayesdl_sim.DatasetGenerate.simulation import (
    MIXED_SHARES,
    SIGNAL_RANGE_E,
)
from bayesdl_sim.evaluation.scenes import Scene, field_patterns
from bayesdl_sim.physics.image_formation import (
    Grid,
    expected_frames,
    grid_for,
    raw_counts,
    target_image,
)
from bayesdl_sim.physics.microscopes import Microscope, magnified, random_microscope, relit
from bayesdl_sim.physics.structures.mixture import draw
from bayesdl_sim.utils.sampling import generator_from, uniform

__all__ = ["MICROSCOPES", "SCENARIOS", "Scenario", "kept_out_scene", "scene_of"]

FINEST = 0.45  # fringes of other camera pixels, cycles per raw pixel
PHASE_MAJOR = [0, 3, 6, 1, 4, 7, 2, 5, 8]  # all orientations at the first phase, then the second


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One way to be unlike the training set.

    Attributes:
        kind: group of scenarios that it is counted with, such as "structure" or "microscope".
        chart: draws the structure; None: cells as in training.
        change: alters the microscope; None: as drawn.
        order: frame at each place of the stack; None: the order of training.
        image: forms the noise-free frames; None: `expected_frames`.
        signals: range of exposures, electrons per lit pixel.
        spoil: alters the counts; None: as exposed.
    """

    kind: str
    chart: Callable[[tuple[int, int], int, torch.Generator], Tensor] | None = None
    change: Callable[[Microscope, torch.Generator], Microscope] | None = None
    order: list[int] | None = None
    image: Callable[[Tensor, Microscope, Grid, torch.Generator], Tensor] | None = None
    signals: tuple[float, float] = SIGNAL_RANGE_E["random"]
    spoil: Callable[[Tensor, torch.Generator], Tensor] | None = None


def _without_fringes(microscope: Microscope, generator: torch.Generator) -> Microscope:
    """Nine wide-field images, fed as if they were SIM."""
    return relit(microscope, modulation=(0.0, 0.0, 0.0))


def _coarse_fringes(microscope: Microscope, generator: torch.Generator) -> Microscope:
    """Pattern frequency 0.10-0.14 cycles per pixel; training begins at 0.17."""
    light = microscope.illumination
    factor = uniform(generator, 0.10, 0.14) / light.mean_frequency
    return relit(microscope, frequency=tuple(factor * k for k in light.frequency))


def _two_orientations(microscope: Microscope, generator: torch.Generator) -> Microscope:
    """The third orientation repeats the second: the grating did not turn."""
    light = microscope.illumination
    names = ("frequency", "angle", "phase", "modulation", "brightness")
    return relit(microscope, **{name: _repeat_second(getattr(light, name)) for name in names})


def _repeat_second(values: tuple) -> tuple:
    return (values[0], values[1], values[1])


def _low_cutoff(microscope: Microscope, generator: torch.Generator) -> Microscope:
    """Cut-off 0.15-0.20 cycles per pixel, training begins at 0.24: a much finer camera pixel."""
    return magnified(microscope, uniform(generator, 0.15, 0.20), FINEST)


def _high_cutoff(microscope: Microscope, generator: torch.Generator) -> Microscope:
    """Cut-off 0.5 cycles per pixel, training ends at 0.40: a pixel close to aliasing."""
    return magnified(microscope, 0.5, FINEST)


MICROSCOPES = {
    "wide field fed as SIM": Scenario(kind="microscope", change=_without_fringes),
    "pattern 0.10-0.14 cycles/px": Scenario(kind="microscope", change=_coarse_fringes),
    "two orientations only": Scenario(kind="microscope", change=_two_orientations),
    "frames in phase-major order": Scenario(kind="microscope", order=PHASE_MAJOR),
    "cut-off 0.15-0.20 cycles/px": Scenario(kind="microscope", change=_low_cutoff),
    "cut-off 0.5 cycles/px": Scenario(kind="microscope", change=_high_cutoff),
}
SCENARIOS = {name: Scenario(kind="structure", chart=chart) for name, chart in CHARTS.items()}
SCENARIOS |= MICROSCOPES


def kept_out_scene(name: str, index: int, levels: int, size: int, seed: int) -> Scene:
    """Scene `index` of a scenario, a function of these arguments alone.

    Args:
        name: key of `SCENARIOS`.
        levels: exposures, log-uniform over the training set's range of signals.
        size: raw pixels per side.
    """
    entropy = [seed, list(SCENARIOS).index(name), index]
    return scene_of(name, SCENARIOS[name], entropy, index, levels, size)


def scene_of(
    name: str, scenario: Scenario, entropy: list[int], index: int, levels: int, size: int
) -> Scene:
    """A scene of any scenario, drawn from the generator that `entropy` seeds."""
    generator = generator_from(*entropy)
    microscope = random_microscope(generator, measured_optics())
    if scenario.change is not None:
        microscope = scenario.change(microscope, generator)
    grid = grid_for((size, size))
    if scenario.chart is None:
        kinds = list(MIXED_SHARES)
        shares = torch.tensor(list(MIXED_SHARES.values()))
        kind = kinds[int(torch.multinomial(shares, 1, generator=generator))]
        structure = draw(kind, grid.shape, microscope.optics.pixel_size_nm / 2, generator)
    else:
        structure = scenario.chart(grid.shape, index, generator)
    if scenario.image is None:
        expected = expected_frames(structure, microscope, grid)
    else:
        expected = scenario.image(structure, microscope, grid, generator)
    signals = _signals(levels, scenario.signals, generator)
    raw = torch.stack([raw_counts(expected, s, microscope, generator) for s in signals])
    raw = raw if scenario.order is None else raw[:, scenario.order]
    raw = raw if scenario.spoil is None else scenario.spoil(raw, generator)
    light = field_patterns(microscope.illumination, grid)
    target = target_image(structure, microscope, grid).numpy()
    return Scene(
        name=name,
        raw=raw,
        target=target,
        signals=signals,
        optics=microscope.optics,
        illumination=light,
    )


def _signals(
    levels: int, limits: tuple[float, float], generator: torch.Generator
) -> tuple[float, ...]:
    """One draw in each of equal log-wide strata, as `from_simulation` does."""
    low, high = limits
    place = (torch.arange(levels) + torch.rand(levels, generator=generator)) / levels
    return tuple(low * math.exp(p * math.log(high / low)) for p in place.tolist())
