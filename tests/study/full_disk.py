"""Runs in a process of its own, whose disk is small: appends to a study until it is full.

python full_disk.py RUN DISK     DISK is a folder on a small file system, or ``limit``
"""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path

from evomerge.errors import OutputError
from evomerge.study import Study
from tests.study.ordinary import a_table, a_trial, create

LIMIT = 40_000
MOST = 1000


def fill(study: Study) -> str:
    """Appends until it fails; gives the message."""
    for number in range(len(study.trials), MOST):
        before = (study.run / "study.jsonl").read_bytes()
        try:
            study.append(a_trial(number), [a_table(number)])
        except OutputError as error:
            assert (study.run / "study.jsonl").read_bytes() == before
            assert len(study.trials) == number
            return str(error)
    raise AssertionError(f"{MOST} trials fitted")


def check_whole(run: Path, trials: int) -> None:
    study = Study.open(run)
    assert len(study.trials) == trials
    for number in range(trials):
        assert study.find(number) == a_trial(number)
        assert study.tables(number) == (a_table(number),)


def main(run: Path, make_room: str) -> None:
    """Fills the disk, makes room, goes on; and again, as a later process would."""
    ballast = None if make_room == "limit" else Path(make_room) / "ballast"
    study = create(run)
    for opened in range(2):
        if ballast is None:
            # A file may not grow beyond this: the last write is a short one.
            longest = LIMIT * (opened + 1)
            resource.setrlimit(resource.RLIMIT_FSIZE, (longest, resource.RLIM_INFINITY))
        else:
            ballast.write_bytes(bytes(LIMIT * (2 - opened)))
        told = fill(study)
        assert told.startswith(f"{run}: cannot be written: "), told
        remedy = "; free some space, then go on, nothing recorded is lost: evomerge resume "
        assert told.endswith(f"{remedy}{run}"), told
        recorded = len(study.trials)
        assert recorded > 5
        check_whole(run, recorded)
        fill(study)  # it stays full, and nothing changes
        if opened == 1:  # goes on as a later process
            study.close()
            study = Study.open(run, write=True)
        if ballast is None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        else:
            ballast.write_bytes(b"")
        for number in range(recorded, recorded + 3):
            study.append(a_trial(number), [a_table(number)])
        check_whole(run, recorded + 3)
    study.close()
    sys.stdout.write(f"{os.linesep.join([told, 'done'])}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
