"""Kills a run at chosen moments, resumes it, and says whether anything was lost.

killed = kill_and_resume(
    ["evomerge", "search", "config.yaml"], ["evomerge", "resume", "runs/x"], Path("runs/x"),
    [after(0.3), at_lines(5), at_file("items/000007.json"), at_output("merging")],
)
assert history(Path("runs/x")) == history(Path("runs/uninterrupted"))
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from evomerge.study import Study
from evomerge.trial import ItemTable, Trial

Words = Sequence[str]

# Seconds that no run of a test takes.
PATIENCE = 120.0
# Seconds between two looks at a run that is waited for.
GLANCE = 0.0005


@dataclass(frozen=True)
class Running:
    """A process that writes a run.

    Attributes:
        process: the first of its process group.
        run: the run folder, which it may not have made yet.
        log: the file that takes its standard output and error.
    """

    process: subprocess.Popen[bytes]
    run: Path
    log: Path

    def wait_for(self, there: Callable[[], bool]) -> bool:
        """Waits until something is so; False if the process ended before."""
        until = time.monotonic() + PATIENCE
        while not there():
            if self.process.poll() is not None:
                return False
            assert time.monotonic() < until, f"waited {PATIENCE} s\n{self.output()}"
            time.sleep(GLANCE)
        return self.process.poll() is None

    def output(self) -> str:
        """What it has said so far."""
        return self.log.read_text(errors="replace")


# Waits for the moment of a kill; False if the process ended before it came.
Moment = Callable[[Running], bool]


def after(seconds: float) -> Moment:
    """So long after the start."""

    def wait(running: Running) -> bool:
        until = time.monotonic() + seconds
        return running.wait_for(lambda: time.monotonic() >= until)

    return wait


def at_lines(count: int, then: float = 0.0) -> Moment:
    """When the ledger has so many whole lines, the header counted, and ``then`` seconds later."""

    def wait(running: Running) -> bool:
        if not running.wait_for(lambda: ledger(running.run).count(b"\n") >= count):
            return False
        return after(then)(running)

    return wait


def at_file(pattern: str) -> Moment:
    """When a file appears in the run folder: ``items/000007.json`` is there before its line."""
    return lambda running: running.wait_for(lambda: any(running.run.glob(pattern)))


def at_output(text: str) -> Moment:
    """When the process says something on its standard output or error."""
    return lambda running: running.wait_for(lambda: text in running.output())


def at_random(chance: random.Random, kills: int, lines: int, pause: float) -> list[Moment]:
    """Moments all over a run of ``lines`` lines, which takes ``pause`` seconds a line."""
    counts = sorted(chance.randrange(lines) for _ in range(kills))
    return [at_lines(count, chance.uniform(0, 2 * pause)) for count in counts]


def kill_and_resume(begin: Words, resume: Words, run: Path, moments: Sequence[Moment]) -> int:
    """Begins a run, kills it at each moment in turn, resumes it each time, lets it end.

    After each kill, every line that was there before is still there byte for byte, and every trial
    has its items. What was killed before there was a ledger is begun again.

    Args:
        begin: the command line that begins the run.
        resume: the one that goes on with it.
        run: the run folder that they write.
        moments: when to kill.

    Returns:
        How many kills there were: fewer than moments if the run ended earlier.
    """
    before, kills = b"", 0
    for moment in moments:
        with started(resume if ledger(run) else begin, run) as running:
            came = moment(running)
            if came:
                os.killpg(running.process.pid, signal.SIGKILL)
            status = running.process.wait(PATIENCE)
            assert status == (-signal.SIGKILL if came else 0), running.output()
        kills += came
        before = check_kept(run, before)
        if not came:
            return kills
    with started(resume if ledger(run) else begin, run) as running:
        assert running.process.wait(PATIENCE) == 0, running.output()
    check_kept(run, before)
    return kills


@contextmanager
def started(words: Words, run: Path) -> Iterator[Running]:
    """A process group of its own, of which nothing is left afterwards.

    It heeds Ctrl-C, also where a shell runs the tests in the background, which then ignore it.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    with TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                list(words), stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )
        signal.signal(signal.SIGINT, before)
        try:
            yield Running(process, run, log)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def ledger(run: Path) -> bytes:
    """The ledger as it stands, or nothing."""
    try:
        return (run / "study.jsonl").read_bytes()
    except FileNotFoundError:
        return b""


def check_kept(run: Path, before: bytes) -> bytes:
    """Every line of ``before`` is still there, and whole; gives the lines there are now."""
    now = ledger(run)
    assert now.startswith(before), "lines were changed or lost"
    if now:
        study = Study.open(run)
        for trial in study.trials:
            study.tables(trial.number)
    return now[: now.rfind(b"\n") + 1]


def history(run: Path) -> list[tuple[Trial, tuple[ItemTable, ...]]]:
    """What a run tried, in order, and what came of it, but for how long it took."""
    study = Study.open(run)
    return [
        (replace(trial, seconds={}, attempts=1), study.tables(trial.number))
        for trial in study.trials
    ]
