"""Runs in a process of its own, to be killed: appends trials to a study, as a search would.

python child.py RUN TRIALS [KILL]

KILL is the number of the call to the file system, counted from the first that the study makes,
in which the process kills itself: before the call takes effect, or, of a write, in its middle.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from evomerge.study import Study
from tests.study.ordinary import a_table, a_trial, create

CALLS = ("write", "fsync", "replace", "mkdir", "ftruncate", "unlink")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def count_down(left: int) -> None:
    """Makes the process kill itself in one of its next calls to the file system."""
    calls = iter(range(left, -1, -1))

    def deadly(call: Callable[..., object]) -> Callable[..., object]:
        def called(*arguments: object, **keywords: object) -> object:
            if next(calls, 0) == 0:
                if call is write:
                    descriptor, data = arguments
                    call(descriptor, bytes(data)[: len(data) // 2])
                die()
            return call(*arguments, **keywords)

        return called

    write = os.write
    for name in CALLS:
        setattr(os, name, deadly(getattr(os, name)))


def append(run: Path, trials: int) -> None:
    study = Study.open(run, write=True) if (run / "study.jsonl").exists() else create(run)
    for number in range(len(study.trials), trials):
        study.append(a_trial(number), [a_table(number)])
    study.close()


if __name__ == "__main__":
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    if sys.argv[3:]:
        count_down(int(sys.argv[3]))
    append(Path(sys.argv[1]), int(sys.argv[2]))
