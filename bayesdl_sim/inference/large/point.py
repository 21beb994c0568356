"""One time point of a large field: its maps band by band, and the same binned for pictures."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bayesdl_sim.data.normalise import Normalisation
from bayesdl_sim.inference.facts import stack_facts
from bayesdl_sim.inference.gaps import with_gaps
from bayesdl_sim.inference.judging.verdict import judge_part, worst
from bayesdl_sim.inference.large.numbers import Numbers
from bayesdl_sim.inference.large.parts import parts_of
from bayesdl_sim.inference.large.predicting import predict_tiles, predicted, statistics_of
from bayesdl_sim.inference.making import (
    OnePoint,
    share_of_fringes,
    spectra_of,
    with_pixel_maps,
)
from bayesdl_sim.inference.maps import misfit_maps, sharp_map
from bayesdl_sim.inference.prepared.stack import PreparedStack
from bayesdl_sim.inference.reconstruction import Reconstruction
from bayesdl_sim.inference.series import known_deviations, to_counts, to_sr_scale
from bayesdl_sim.inference.settings import MISFIT, MapSettings
from bayesdl_sim.utils.console.progress import Report
from bayesdl_sim.utils.pieces.halving import halved_to
from bayesdl_sim.utils.pieces.spans import Square

if TYPE_CHECKING:
    from bayesdl_sim.inference.posterior import Posterior

__all__ = ["TiledPoint", "tiled_point"]

SHOWN = 2048  # pixels of the doubled grid, longest side of the binned maps
HIGHEST = 9  # halvings, which a band of 512 rows allows


@dataclass(frozen=True, kw_only=True)
class TiledPoint:
    """A reconstruction whose maps do not fit into memory.

    Attributes:
        overview: the same binned, with all facts and the verdict; see `halvings`.
        halvings: how many times the maps of the overview are halved.
        numbers: `facts.result_numbers` of the whole field.
        beyond_scale: pixels of SR outside 0..1.
        bands: first row of the doubled grid, and all maps of some rows, at every call.
    """

    overview: Reconstruction
    halvings: int
    numbers: dict[str, float]
    beyond_scale: int
    bands: Callable[[], Iterator[tuple[int, Reconstruction]]]


def tiled_point(
    posterior: Posterior,
    one: PreparedStack,
    maps: Sequence[str],
    settings: MapSettings,
    point: OnePoint,
    scratch: Path,
    progress: Report,
) -> TiledPoint:
    """Predicts, measures and judges one time point of a large field.

    Args:
        one: its stack.
        scratch: file for the predictions, which has to stay until the bands have been used.
    """
    began = time.perf_counter()
    field = _Finishing(posterior, one, maps, settings, point, scratch, progress)
    halvings = 0
    while max(one.field) >> halvings > SHOWN // 2 and halvings < HIGHEST:
        halvings += 1
    numbers, shown = Numbers(field.lit), []
    for _, band in field.bands():
        numbers.add(band)
        shown.append(_binned(band, halvings))
    overview = replace(
        _joined(shown),
        factors=[numbers.factor],
        seconds=time.perf_counter() - began,
        spectra=spectra_of(one) if point.is_first else None,
        fringe_share=share_of_fringes(posterior, one) if point.is_first else None,
    )
    if point.judged:
        verdict = field.verdict(point.judged)
        overview = replace(overview, verdict=verdict)
    overview = replace(overview, facts=field.facts | stack_facts(one, overview))
    return TiledPoint(
        overview=overview,
        halvings=halvings,
        numbers=numbers.result(),
        beyond_scale=numbers.beyond,
        bands=field.bands,
    )


class _Finishing:
    """The predictions of a field, and how they become maps."""

    def __init__(
        self,
        posterior: Posterior,
        one: PreparedStack,
        maps: Sequence[str],
        settings: MapSettings,
        point: OnePoint,
        path: Path,
        progress: Report,
    ) -> None:
        self.posterior, self.one, self.maps, self.settings = posterior, one, maps, settings
        self.point, self.norm = point, one.norm(0)
        self.scratch = predict_tiles(posterior, one, path, progress)
        self.statistics = statistics_of(self.scratch, one)
        unit = self.norm.scale / point.scale.scale  # of the networks' scale, in that of the SR
        self.structure = point.structure or unit * self.statistics.structure or 1.0
        lit = Normalisation(self.norm.low, self.norm.high).invert(np.float64(self.statistics.lit))
        self.lit = float(point.scale.apply(lit))
        self.facts: dict[str, Any] = {}

    def sr(self, square: Square) -> NDArray[np.float32]:
        """The super-resolved image in some rows and columns of the doubled grid."""
        maps = {"mean": predicted(self.scratch, self.one, square).mean[0, 0].numpy()}
        to_counts(maps, self.norm)
        to_sr_scale([maps["mean"]], None, self.point.scale)
        return maps["mean"]

    def verdict(self, times: int) -> Any:
        """The verdict on the brightest parts of the field."""
        verdicts, unit = [], self.norm.scale / self.point.scale.scale
        for part in parts_of(self.one, 0):
            epistemic = None
            if "epistemic" in known_deviations(self.posterior):
                epistemic = self.scratch.read("epistemic", part.fine_square) * np.float32(unit)
            sr = self.sr(part.fine_square)
            verdicts.append(judge_part(part, sr, epistemic, self.posterior.gate, times))
        return worst(verdicts)

    @cached_property
    def further(self) -> dict[str, NDArray[np.float32]]:
        """The maps that need more than their own pixels, of the whole field."""
        images = misfit_maps(self.one, 0, self.sr) if set(self.maps) & {*MISFIT} else {}
        if "Sharp" in self.maps:
            images["Sharp"] = sharp_map(self.one, 0, self.sr)
        return {name: image for name, image in images.items() if name in self.maps}

    def bands(self) -> Iterator[tuple[int, Reconstruction]]:
        """First row of the doubled grid, and the finished maps of some rows from there on."""
        for band in self.scratch.bands():
            yield band[0].start, self._finished(band)

    def _finished(self, band: Square) -> Reconstruction:
        lit = self.statistics.brightness(self.scratch.read("mean", band)[None])
        factor = np.float32(self.posterior.calibration.factor(self.statistics.features, lit))
        prediction = predicted(self.scratch, self.one, band)
        images = {name: image[0].numpy() for name, image in prediction._asdict().items()}
        for name, image in images.items():
            if name != "mean":
                image *= factor
        to_counts(images, self.norm)
        scale = to_sr_scale(list(images.values()), None, self.point.scale)
        raw_rows = slice(band[0].start // 2, band[0].stop // 2)
        raw = self.one.counts(0, (raw_rows, slice(0, self.one.field[1])))
        pixel = self.one.stack.pixel_size_nm
        result = Reconstruction(
            sr=images["mean"],
            **{name: images[name] for name in known_deviations(self.posterior)},
            scale=scale,
            pixel_size_nm=None if pixel is None else pixel / 2,
            wide_field=scale.apply(raw.mean(dim=0, keepdim=True).cpu().numpy()),
            raw_scales=[self.norm],
            factors=[float(np.mean(factor))],
        )
        # Every band has draws of its own.
        number = self.point.number * self.scratch.size[0] + band[0].start
        arguments = (self.maps, self.settings, self.structure, number)
        result, self.facts = with_pixel_maps(self.posterior, result, *arguments)
        result = result.with_further(self._rows_of_further(band[0], raw_rows))
        result = replace(
            result, further={n: image for n, image in result.further.items() if n in self.maps}
        )
        gaps = self.one.missing(0)[raw_rows].cpu().numpy()[None]
        return with_gaps(result, gaps) if self.one.missing(0).any() else result

    def _rows_of_further(self, rows: slice, raw_rows: slice) -> dict[str, NDArray]:
        fine_height = self.scratch.size[0]
        return {
            name: image[rows if len(image) == fine_height else raw_rows][None]
            for name, image in self.further.items()
        }


def _binned(band: Reconstruction, halvings: int) -> Reconstruction:
    """Some rows of all maps, binned."""

    def small(image: NDArray) -> NDArray:
        return halved_to(image[0], halvings)[None]

    names = ("sr", "aleatoric", "epistemic", "total", "wide_field")
    images = {name: getattr(band, name) for name in names}
    return replace(
        band,
        **{name: small(image) for name, image in images.items() if image is not None},
        channels={name: small(image) for name, image in band.channels.items()},
        further={name: small(image) for name, image in band.further.items()},
    )


def _joined(bands: list[Reconstruction]) -> Reconstruction:
    """Bands of all maps, one below the other."""
    first = bands[0]

    def joined(images: list[NDArray]) -> NDArray:
        return np.concatenate(images, axis=1)

    names = ("sr", "aleatoric", "epistemic", "total", "wide_field")
    present = [name for name in names if getattr(first, name) is not None]
    return replace(
        first,
        **{name: joined([getattr(band, name) for band in bands]) for name in present},
        channels={n: joined([band.channels[n] for band in bands]) for n in first.channels},
        further={n: joined([band.further[n] for band in bands]) for n in first.further},
    )
