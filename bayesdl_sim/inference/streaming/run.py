"""A long series from frames to files: begun once, done in any number of parts, finished once.

Everything lies in the hidden folder of unfinished work (`utils.folders.finished`): the survey, the
maps, and a journal with a line for every finished time point. A run that is killed goes on after
the last of them; several processes may do a part of the time points each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock
from numpy.typing import NDArray

from bayesdl_sim.inference.facts import stack_facts
from bayesdl_sim.inference.gaps import first_kept
from bayesdl_sim.inference.judging.gate import Verdict
from bayesdl_sim.inference.large.overview import read_overview_maps, write_overview_maps
from bayesdl_sim.inference.large.point import TiledPoint
from bayesdl_sim.inference.making import require_series, spectra_of
from bayesdl_sim.inference.output.map_kinds import FACTS
from bayesdl_sim.inference.output.names import CHANGEABLE, result_names
from bayesdl_sim.inference.output.pages import TiffPages
from bayesdl_sim.inference.output.result_files import write_pictures
from bayesdl_sim.inference.output.zarr_pages import ZarrPages
from bayesdl_sim.inference.prepared.stack import PreparedStack
from bayesdl_sim.inference.reconstruction import Reconstruction
from bayesdl_sim.inference.settings import MISFIT, SHARP, MapSettings
from bayesdl_sim.inference.streaming.layout import series_layout, stored_layout
from bayesdl_sim.inference.streaming.pages import BAND, write_blank, write_point
from bayesdl_sim.inference.streaming.points import (
    PointMaker,
    blank_entry,
    first_result,
    mean_numbers,
    point_entry,
    streamed_facts,
    verdict_of,
)
from bayesdl_sim.inference.streaming.precision import with_precision_of
from bayesdl_sim.inference.streaming.survey import Survey, survey_series
from bayesdl_sim.utils.console.progress import Report
from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.files import read_json, write_json
from bayesdl_sim.utils.folders.finished import (
    UNFINISHED,
    begun,
    complete,
    discard,
    is_complete,
    is_finished,
    require_own,
    unfinished_folder,
)
from bayesdl_sim.utils.folders.journal import Journal, journal_entries
from bayesdl_sim.utils.folders.presence import Presence

if TYPE_CHECKING:
    from bayesdl_sim.inference.posterior import Posterior

__all__ = ["SeriesRun"]

FIXED, POINTS, SCRATCH = "fixed.json", "points-{}.jsonl", "scratch-{}.bin"
OVERVIEW_MAPS = "overview.npz"


class SeriesRun:
    """The work on one series; every process that takes part makes one of these.

    Args:
        posterior: the opened posterior.
        prepared: the series, its frames on the disk.
        folder: folder of the results.
        identity: hash of input, options and members; work begun with another one is discarded,
            unless a process is at work on it.
        maps, settings: see `Posterior.reconstruct`.
        form: format of the maps: tiff or zarr.
        record: what the identity is a hash of, for messages.

    Raises:
        InputError: a map that this stack or these members cannot have.
    """

    def __init__(
        self,
        posterior: Posterior,
        prepared: PreparedStack,
        folder: Path,
        identity: str,
        maps: Sequence[str],
        settings: MapSettings,
        form: str = "tiff",
        record: Mapping[str, Any] | None = None,
    ) -> None:
        posterior.require_maps(maps)
        require_series(posterior, prepared, maps)
        self.posterior, self.prepared, self.folder = posterior, prepared, folder
        self.identity, self.maps, self.settings = identity, maps, settings
        self.record, self.partial = record, folder / UNFINISHED
        self.pages = ZarrPages if form == "zarr" else TiffPages
        self._presence: Presence | None = None

    def has_begun(self) -> bool:
        """Whether an earlier run, or another process, has begun this very work."""
        return begun(self.folder) == self.identity

    def begin(self, progress: Report, refuse: Callable[[Verdict], None] | None = None) -> None:
        """Surveys the series and makes its first time point, unless that has been done.

        Only the process that owns the folder may do this. From then on until `leave`, nobody can
        discard the work.

        Args:
            refuse: raises `InputError` if the verdict of the frames refuses the series; nothing is
                left of the work then.

        Raises:
            InputError: another process is at work on the folder with another identity.
        """
        unfinished_folder(self.folder, self.identity, self.record)
        self.take_part()
        try:
            self.posterior = with_precision_of(self.partial, self.posterior)
            self._begin(progress, refuse)
        except BaseException:
            self.leave()
            raise

    def take_part(self) -> None:
        """Takes part in work that was begun, as `begin` does; only for the owner of the folder."""
        self.require_own()
        self.leave()
        self._presence = Presence(self.partial)

    def leave(self) -> None:
        """Ends this process's part: the work can be discarded by another run."""
        if self._presence is not None:
            self._presence.leave()
        self._presence = None

    def require_own(self) -> None:
        """`InputError` if another run has discarded this work."""
        require_own(self.folder, self.identity, self.record)

    def _begin(self, progress: Report, refuse: Callable[[Verdict], None] | None) -> None:
        guess, force = self.posterior.inputs.first_guess, self.settings.force
        all_patterns = guess or bool(set(self.maps) & {*MISFIT, *SHARP})
        arguments = (self.prepared, self.partial, progress, all_patterns, force)
        self.survey: Survey = survey_series(*arguments)
        self.first = first_kept(self.prepared)
        if refuse is not None and not (self.partial / FIXED).exists():
            self._allow(refuse)
        self.maker = PointMaker(self.posterior, self.survey, self.maps, self.settings)
        if not (self.partial / FIXED).exists():
            made = self.maker.make(self.first, self.partial / SCRATCH.format("first"), progress)
            result = made.overview if isinstance(made, TiledPoint) else made
            tolerance = result.facts["tolerance"]
            layout = series_layout(result, self.prepared, self.maps, tolerance)
            fixed = {"structure": tolerance / self.settings.delta, "layout": asdict(layout)}
            fixed["fringe_share"] = result.fringe_share
            if self.missing([self.first]):  # else a kill came before the next file
                pages = self.pages(self.partial, layout)
                self._keep(pages, self.first, made, "first")
                pages.close()
            (self.partial / SCRATCH.format("first")).unlink(missing_ok=True)
            write_json(self.partial / FIXED, fixed)
        stored = read_json(self.partial / FIXED)
        self.maker.structure, self.fringe_share = stored["structure"], stored["fringe_share"]
        self.layout = stored_layout(stored["layout"])

    def _allow(self, refuse: Callable[[Verdict], None]) -> None:
        try:
            refuse(self.survey.verdict_of_frames())
        except InputError:
            self.leave()
            discard(self.folder)
            raise

    def missing(self, numbers: Iterable[int] | None = None) -> list[int]:
        """The time points, all or some, that are not finished."""
        done = self._entries()
        every = range(len(self.prepared)) if numbers is None else numbers
        return [t for t in every if t not in done]

    def make(self, numbers: Sequence[int], name: str, progress: Report) -> None:
        """Makes those time points that are not finished; after `begin`, in any process.

        Args:
            numbers: numbers of the time points.
            name: name of this part of the work, for its journal: no two processes share one.

        Raises:
            InputError: another run has discarded this work, or somebody has deleted it.
        """
        if not self._is_open():
            return
        # A scheduler that took a worker for dead may have given its part to another.
        with FileLock(self.partial / f"{name}.lock"):
            missing = self.missing(numbers) if self._is_open() else []
            if not missing:
                return
            pages = self.pages(self.partial, self.layout, existing=True)
            for number, t in enumerate(missing, start=len(numbers) - len(missing) + 1):
                scratch = self.partial / SCRATCH.format(name)
                made = self.maker.make(t, scratch)
                if not self._is_open():
                    break
                self._keep(pages, t, made, name)
                scratch.unlink(missing_ok=True)
                progress(number, len(numbers), "time points")
            pages.close()

    def finish(self, facts: dict[str, Any] | None = None) -> Reconstruction:
        """Writes facts and pictures, and puts all files into their places.

        Not after a kill that came while they took their places, see `settle`.

        Returns:
            The first time point, with the facts and the verdict of all.
        """
        entries = list(self._entries().values())
        pages = self.pages(self.partial, self.layout, existing=True)
        channels, further, wide_field, halvings = self._shown(pages)
        result = first_result(self.survey, channels, further, wide_field, entries)
        verdicts = {entry["t"]: verdict_of(entry) for entry in entries if entry["verdict"]}
        verdict = self.survey.verdict(verdicts)
        result = replace(result, verdict=verdict, fringe_share=self.fringe_share)
        known = streamed_facts(entries, self.settings.delta, self.maker.structure)
        stored = self.posterior.facts | known | stack_facts(self.prepared, result) | (facts or {})
        result = replace(result, facts=stored, spectra=spectra_of(self.prepared))
        raw_pixel_nm, times = self.prepared.stack.pixel_size_nm, len(self.prepared)
        heading = f"verdict: {result.verdict.sentence()}"
        shown = (channels, further, wide_field, raw_pixel_nm, stored)
        which = (times, 2**halvings, self.first + 1)
        write_pictures(self.partial, *shown, result.spectra, heading, *which)
        pages.finish([entry["digest"] for entry in entries])
        write_json(self.partial / FACTS, stored | {"verdict": result.stored_verdict()})
        written = {path.name for path in self.partial.iterdir()} & result_names()
        self.leave()
        complete(self.folder, result_names(), FACTS, written, CHANGEABLE)
        return result

    def settle(self) -> bool:
        """Whether all files were written before; they are then put into their places.

        A kill, or a map that another program holds open, may have ended this half-way. Only the
        process that owns the folder may do this.
        """
        if not is_complete(self.folder, self.identity):
            return False
        complete(self.folder, result_names(), FACTS, (), CHANGEABLE)
        return True

    def numbers(self) -> dict[str, float]:
        """Means over the time points of what `facts.result_lines` prints."""
        return mean_numbers(self._entries().values())

    def _is_open(self) -> bool:
        """Whether the work is still this one; False once another process has finished it."""
        # In this order: what is finished is marked so before its hidden folder goes.
        if self.has_begun():
            return True
        if is_finished(self.folder, self.identity):
            return False
        self.require_own()
        return True

    def _entries(self) -> dict[int, dict[str, Any]]:
        """Time point -> its entry, in order; two processes may have made the same one."""
        entries = {entry["t"]: entry for entry in journal_entries(self.partial, POINTS.format("*"))}
        return dict(sorted(entries.items()))

    def _keep(
        self,
        pages: TiffPages | ZarrPages,
        t: int,
        made: Reconstruction | TiledPoint | None,
        name: str,
    ) -> None:
        """Writes the maps of a time point, then its entry of the journal; None: it is left out."""
        if made is None:
            digest = write_blank(pages, t, BAND if self.prepared.is_large else None)
        else:
            digest = write_point(pages, t, made)
        if isinstance(made, TiledPoint) and t == self.first:
            write_overview_maps(self.partial / OVERVIEW_MAPS, made)
        with Journal(self.partial / POINTS.format(name)) as journal:
            journal.add(blank_entry(t, digest) if made is None else point_entry(t, made, digest))

    def _shown(self, pages: TiffPages | ZarrPages) -> tuple[dict, dict, NDArray, int]:
        """Channels, further maps and wide field for the pictures, and how often they are halved."""
        if (self.partial / OVERVIEW_MAPS).exists():
            return read_overview_maps(self.partial / OVERVIEW_MAPS)
        scale, raw = self.survey.scale, self.prepared.stack.raw[self.first]
        wide_field = scale.apply(raw[None].mean(axis=1))
        return pages.channels_at(self.first), pages.further_at(self.first), wide_field, 0
