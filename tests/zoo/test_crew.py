"""Jobs side by side: in their order, watched from one thread, and stopped all together."""

from __future__ import annotations

from collections.abc import Callable
from threading import Barrier, Event, current_thread

import pytest

from evomerge.zoo.crew import Job, Tick, work_off

LONG = 30  # seconds: only a failing test waits so long


def ignore(_stage: str, _done: float) -> None:
    """Nobody watches."""


def test_all_jobs_are_done():
    done: list[str] = []
    jobs = [Job(name, 1, lambda _tick, name=name: done.append(name)) for name in "abcde"]
    work_off(jobs, ignore, workers=2)
    assert sorted(done) == list("abcde")


def test_a_job_waits_for_the_one_it_needs():
    order: list[str] = []
    go = Event()

    def first(_tick: Tick) -> None:
        assert go.wait(LONG)
        order.append("first")

    needed = Job("first", 1, first)
    other = Job("other", 1, lambda _tick: go.set())
    needing = Job("second", 1, lambda _tick: order.append("second"), after=needed)
    work_off([needed, other, needing], ignore, workers=3)
    assert order == ["first", "second"]


def test_workers_work_at_the_same_time():
    meeting = Barrier(3)
    work_off([Job(n, 1, lambda _tick: meeting.wait(LONG)) for n in "abc"], ignore, workers=3)


def test_progress_rises_to_one_and_is_told_in_the_callers_thread():
    told: list[tuple[str, float]] = []
    here = current_thread()

    def watch(stage: str, done: float) -> None:
        assert current_thread() is here
        told.append((stage, done))

    def work(tick: Tick) -> None:
        for share in (0.25, 0.5, 0.75):
            tick(share)

    work_off([Job("light", 1, work), Job("heavy", 3, work)], watch, workers=1)
    shares = [done for _, done in told]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert {stage for stage, _ in told} <= {"", "light", "heavy"}


def until_stopped(started: Event) -> Callable[[Tick], None]:
    def work(tick: Tick) -> None:
        started.set()
        while True:
            tick(0.5)

    return work


def test_what_a_job_raises_stops_the_others_and_comes_out():
    started = Event()

    def fail(_tick: Tick) -> None:
        assert started.wait(LONG)
        raise ValueError("no")

    never = Job("never", 1, lambda _tick: pytest.fail("began after the failure"))
    failing = Job("failing", 1, fail)
    needing = Job("needing", 1, lambda _tick: pytest.fail("went on without"), after=failing)
    with pytest.raises(ValueError, match="no"):
        work_off(
            [Job("busy", 1, until_stopped(started)), failing, needing, never], ignore, workers=2
        )


def test_what_the_watcher_raises_stops_all_and_comes_out():
    started = Event()

    def watch(_stage: str, done: float) -> None:
        if started.is_set():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work_off([Job("busy", 1, until_stopped(started))], watch, workers=2)
