"""Stacks and chunks of series on the workers of dask.distributed, here or on other machines.

dask is an optional dependency, loaded only when it is used. Every task can be repeated: what a
worker had finished before it died lies on the disk, which all workers share.
"""

from __future__ import annotations

import importlib.util
import io
import logging
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any, NamedTuple

from bayesdl_sim.commands.many.identity import Identity
from bayesdl_sim.commands.many.outcome import Outcome, outcome_of
from bayesdl_sim.commands.many.shards import WHOLE
from bayesdl_sim.commands.many.streamed import Keep, begin_series, finish_series, open_run
from bayesdl_sim.commands.many.work import (
    PATIENCE_S,
    Job,
    do_one,
    identity_of_job,
    note_failure,
    summarise,
)
from bayesdl_sim.commands.testing.options import TestSettings
from bayesdl_sim.inference.posterior import Posterior
from bayesdl_sim.inference.streaming.run import SeriesRun
from bayesdl_sim.utils.console.progress import Progress, unreported
from bayesdl_sim.utils.console.threads import set_threads
from bayesdl_sim.utils.errors import InputError, printable
from bayesdl_sim.utils.folders.finished import is_finished
from bayesdl_sim.utils.folders.staging import results_folder

__all__ = ["Handlers", "do_all_on_cluster", "require_distributed"]

CHUNKS = 4  # chunks of a series per worker: a slow worker holds up a quarter of its share
DEATHS = 10  # workers that may die of one task: a task too large for its worker fails in the end
JOIN_S = 60  # seconds to wait for the scheduler
_RUNS: dict[tuple[str, str], SeriesRun] = {}  # of this process: folder and identity -> the series


class Handlers(NamedTuple):
    """The functions of the command that a worker calls, see `commands.testing.run`."""

    open_posterior: Callable[[TestSettings], Posterior]
    process: Callable[..., None]
    refuse: Callable[..., None]


def require_distributed() -> None:
    """`InputError` where dask.distributed is not installed."""
    if importlib.util.find_spec("distributed") is None:
        raise InputError(
            "workers and scheduler need dask.distributed: pip install 'bayesdl-sim[cluster]', or "
            "use shard, which needs no extra package"
        )


def do_all_on_cluster(jobs: Sequence[Job], settings: TestSettings, handlers: Handlers) -> None:
    """Every stack, and chunks of every series, on the workers; then the summary.

    Raises:
        InputError: the scheduler cannot be reached; at the end, the stacks that failed.
    """
    from distributed import as_completed

    failures: dict[str, str] = {}
    digests: dict[str, str] = {}
    with results_folder(settings.save_path), _client(settings) as client:
        last = {}
        for job in jobs:
            for future in _submit(client, job, settings, handlers):
                last[future] = job
        with Progress("all stacks") as progress:
            for number, future in enumerate(as_completed(list(last)), start=1):
                job = last[future]
                outcome = outcome_of(future, job)
                print(outcome.lines, end="")
                if outcome.identity is not None:
                    digests[job.name] = outcome.identity.digest
                if outcome.failure is not None:
                    if "NOT reconstructed" not in outcome.lines:
                        print(f"{printable(job.entry.source)}: NOT reconstructed")
                    failures[job.name] = outcome.failure
                    note_failure(job, outcome.failure, outcome.trace)
                progress(number, len(last), "stacks")
        if failures and len(jobs) == 1:
            raise InputError(next(iter(failures.values())))
        names = [job.name for job in jobs if job.name in failures]
        summarise(jobs, settings, {name: failures[name] for name in names}, digests)


@contextmanager
def _client(settings: TestSettings) -> Iterator[Any]:
    """A client of the scheduler, or of one that is started here with its workers."""
    import dask
    from distributed import Client, LocalCluster

    if settings.scheduler is not None:
        try:
            client = Client(settings.scheduler, timeout=JOIN_S)
        except (OSError, ValueError) as error:
            raise InputError(
                f"scheduler: {settings.scheduler} does not answer ({error}): check the address, or "
                "start it with `dask scheduler`"
            ) from None
        with client:
            yield client
        return
    dask_options = {"distributed.scheduler.allowed-failures": DEATHS}
    with (
        dask.config.set(dask_options),
        tempfile.TemporaryDirectory() as folder,
        LocalCluster(
            n_workers=settings.workers,
            threads_per_worker=1,
            dashboard_address=None,
            silence_logs=logging.ERROR,
            local_directory=folder,
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


def _submit(client: Any, job: Job, settings: TestSettings, handlers: Handlers) -> list[Any]:
    """The tasks of a job; the last of them returns the outcome."""
    send = partial(client.submit, pure=False)
    if not job.streamed:
        return [send(_whole, job, settings, handlers)]
    workers = max(1, len(client.scheduler_info()["workers"]))
    begun = send(_begin, job, settings, handlers)
    count = min(job.entry.times, CHUNKS * workers)
    edges = [job.entry.times * n // count for n in range(count + 1)]
    chunks = [
        send(_points, begun, job, settings, handlers, first, stop)
        for first, stop in zip(edges, edges[1:], strict=False)
    ]
    return [send(_finish, begun, chunks, job, settings, handlers)]


def _whole(job: Job, settings: TestSettings, handlers: Handlers) -> Outcome:
    """Takes one stack from its file to its results; runs in a worker."""
    failures: dict[str, str] = {}
    with redirect_stdout(io.StringIO()) as printed:
        posterior = _posterior(settings, handlers)
        printed.truncate(printed.seek(0))
        arguments = (settings, posterior, handlers.process, failures, False, _keep(job, settings))
        identity = do_one(job, *arguments)
    return Outcome(lines=printed.getvalue(), failure=failures.get(job.name), identity=identity)


def _begin(job: Job, settings: TestSettings, handlers: Handlers) -> Outcome:
    """Surveys a series; runs in a worker."""
    with redirect_stdout(io.StringIO()) as printed:
        try:
            posterior, keep = _posterior(settings, handlers), _keep(job, settings)
            printed.truncate(printed.seek(0))
            identity, is_open = identity_of_job(job, settings, posterior, keep)
            if is_open:
                source = printable(job.entry.source)
                refuse = partial(handlers.refuse, source, settings.force)
                arguments = (settings, posterior, identity, refuse, keep)
                run = begin_series(job.entry, job.folder, *arguments)
                is_open = run is not None
                if run is not None:
                    run.leave()
        except (InputError, PermissionError) as error:
            return Outcome(lines=printed.getvalue(), failure=str(error))
    return Outcome(lines=printed.getvalue(), identity=identity, is_open=is_open)


def _points(
    begun: Outcome, job: Job, settings: TestSettings, handlers: Handlers, first: int, stop: int
) -> Outcome:
    """Makes the unfinished ones of these time points of a series; runs in a worker."""
    if not begun.is_open:
        return Outcome()
    with redirect_stdout(io.StringIO()):
        try:
            run = _run(job, settings, handlers, begun.identity)
            if run is not None:
                try:
                    run.make(range(first, stop), f"{first:06d}", unreported)
                finally:
                    run.leave()
        except (InputError, PermissionError) as error:
            return Outcome(failure=str(error))
    return Outcome()


def _finish(
    begun: Outcome, chunks: list[Outcome], job: Job, settings: TestSettings, handlers: Handlers
) -> Outcome:
    """Moves the files of a finished series to their final places; runs in a worker."""
    failure = next((part.failure for part in (begun, *chunks) if part.failure is not None), None)
    if failure is not None or not begun.is_open:
        return replace(begun, failure=failure, is_open=False)
    with redirect_stdout(io.StringIO()) as printed:
        try:
            run = _run(job, settings, handlers, begun.identity)
            printed.truncate(printed.seek(0))
            if run is not None:
                finish_series(run, WHOLE, _keep(job, settings))
                run.leave()
        except (InputError, PermissionError) as error:
            return Outcome(lines=begun.lines, failure=str(error))
    return Outcome(lines=begun.lines + printed.getvalue(), identity=begun.identity)


@lru_cache(maxsize=1)
def _posterior(settings: TestSettings, handlers: Handlers) -> Posterior:
    """The posterior, opened once per worker."""
    set_threads(settings.threads or 1)
    return handlers.open_posterior(settings)


def _run(
    job: Job, settings: TestSettings, handlers: Handlers, identity: Identity
) -> SeriesRun | None:
    """The series that this worker takes part in, after `_begin`, opened once; None if finished.

    Raises:
        InputError: another run has discarded the work meanwhile.
    """
    key = (str(job.folder), identity.digest)
    run = _RUNS.get(key)
    opened = run or open_run(
        job.entry, job.folder, settings, _posterior(settings, handlers), identity
    )
    with _keep(job, settings)():
        if is_finished(job.folder, identity.digest):
            return None
        opened.take_part()
        if run is None:
            opened.begin(unreported)
    _RUNS.clear()
    _RUNS[key] = opened
    return opened


def _keep(job: Job, settings: TestSettings) -> Keep:
    """How a worker keeps a folder; that of the whole call is kept by the calling process."""
    if job.folder == settings.save_path:
        return nullcontext
    return partial(results_folder, job.folder, PATIENCE_S)
