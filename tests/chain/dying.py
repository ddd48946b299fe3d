"""Kills a chain at chosen calls, resumes it each time, and keeps what it recorded.

python -m tests.chain.dying CONFIG TARGET:N …

The chain is always run at the place that its config names, as recipes name models in it by their
path; then it is moved to ``whole``, or to a folder named by the call. What dies is forked from this
process, which has run the chain whole: so all libraries are loaded, and each takes half a second.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable
from itertools import count
from pathlib import Path
from pkgutil import resolve_name
from unittest import mock

from evomerge.chain import resume
from evomerge.chain.running import begin, watched_by
from evomerge.config.chained import ChainConfig, read_either
from evomerge.session import Resumption


def forked(work: Callable[[], object]) -> int:
    """Does something in a process of its own; how that ended, as a number of a signal or code."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def dying(call: str, work: Callable[[], object]) -> Callable[[], object]:
    """The same work, which is killed as it is about to call a function for the nth time."""
    target, _, nth = call.rpartition(":")
    original, calls = resolve_name(target), count(1)

    def killed(*given: object, **named: object) -> object:
        if next(calls) == int(nth):
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*given, **named)

    def patched() -> object:
        with mock.patch(target, killed):
            return work()

    return patched


def main(path: Path, calls: list[str]) -> None:
    """Runs the chain whole, and once for each call."""
    config = read_either(path)
    assert isinstance(config, ChainConfig)

    def search() -> None:
        begin(config, None, watched_by(None))

    search()
    config.run.rename(path.parent / "whole")
    for call in calls:
        assert forked(dying(call, search)) == -signal.SIGKILL, call
        assert forked(lambda: resume(config.run, Resumption(), watched_by(None))) == 0, call
        config.run.rename(path.parent / call)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
