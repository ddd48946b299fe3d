"""Does jobs side by side in threads; is watched, and stopped, from the caller's thread alone.

torch lets go of the interpreter while it computes, so two trainings of one thread each fill two
cores. Threads inside a training would do the same on a quiet machine; on a busy one they wait for
each other at every operation, which was ten times slower.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from threading import Event

# Called in a job, and often, with the share of it that is done, in [0, 1].
Tick = Callable[[float], None]

# Called with what is being done, and the share of the whole that is done, in [0, 1].
Progress = Callable[[str, float], None]

# Seconds between two reports.
EVERY = 0.1


class _StoppedError(Exception):
    """Ends a job from inside: it is not wanted any more."""


@dataclass
class Job:
    """Something to do.

    Attributes:
        name: what the watcher is told.
        effort: how long it takes, as against the others.
        work: does it; calls what it is given.
        after: a job before it in the order that must be done first.
    """

    name: str
    effort: float
    work: Callable[[Tick], None]
    after: Job | None = None
    share: float = field(default=0.0, init=False)
    done: Event = field(default_factory=Event, init=False)

    def run(self, stop: Event) -> None:
        """Waits for what comes before, and works."""

        def tick(share: float) -> None:
            if stop.is_set():
                raise _StoppedError
            self.share = share

        while self.after is not None and not self.after.done.wait(EVERY):
            tick(0.0)
        self.work(tick)
        self.share = 1.0
        self.done.set()


def work_off(jobs: Sequence[Job], progress: Progress, *, workers: int) -> None:
    """Begins the jobs in their order, ``workers`` at a time, and returns when all are done.

    What a job or ``progress`` raises stops all of them, and is raised when they have stopped.
    """
    stop = Event()
    with ThreadPoolExecutor(workers) as pool:
        futures = [pool.submit(job.run, stop) for job in jobs]
        try:
            _watch(jobs, futures, progress)
        except BaseException:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _watch(jobs: Sequence[Job], futures: Sequence[Future[None]], progress: Progress) -> None:
    total = sum(job.effort for job in jobs)
    pending = set(futures)
    while pending:
        at_work = [
            job.name
            for job, future in zip(jobs, futures, strict=True)
            if future.running() and (job.after is None or job.after.done.is_set())
        ]
        done = sum(job.share * job.effort for job in jobs) / total
        progress(", ".join(at_work), min(1.0, done))
        finished, pending = wait(pending, timeout=EVERY, return_when=FIRST_EXCEPTION)
        for future in finished:
            future.result()
    progress("", 1.0)
