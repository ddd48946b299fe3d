"""Runs a program in a process group of its own, which never outlives its evaluation."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from threading import Thread
from time import monotonic, sleep
from typing import IO

from evomerge.errors import EvaluationError

# Seconds between two looks at the clock while a program runs.
GLANCE = 0.05

# Seconds from the request to end to the end by force: time to write a checkpoint of its own.
GRACE = 2.0


@dataclass(frozen=True)
class Program:
    """A program to run.

    Attributes:
        words: the program and its arguments; no shell reads them.
        folder: the working directory; this process's if None.
        environment: variables beside those of this process.
        message: what it is given on its standard input, which then stays open until it ends: a
            program that finds it closed has lost the process that asked. No input if None.
    """

    words: Sequence[str]
    folder: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    message: bytes | None = None


@dataclass(frozen=True)
class Ended:
    """How a program ended.

    Attributes:
        status: its exit status, or the negative number of the signal that ended it.
        output: what it wrote on its standard output.
        complaint: the last line it wrote on its standard error, or nothing.
    """

    status: int
    output: bytes
    complaint: str

    @property
    def signal(self) -> str | None:
        """The name of the signal that ended it, such as ``SIGSEGV``."""
        if self.status >= 0:
            return None
        names = {number.value: number.name for number in signal.Signals}
        return names.get(-self.status, f"signal {-self.status}")


def run(program: Program, tick: Callable[[], None]) -> Ended:
    """Runs ``program`` to its end, or until ``tick`` raises, which ends its whole group.

    Raises:
        EvaluationError: it cannot be started.
    """
    with TemporaryFile() as output, TemporaryFile() as complaints:
        process = _start(program, output, complaints)
        # In a thread: a long message waits for a program that is slow to read.
        teller = Thread(target=_tell, args=(process, program.message or b""))
        teller.start()
        try:
            _await(process, tick)
        finally:
            _end(process)
            teller.join()
            _close(process)
        return Ended(process.returncode, _read(output), _last_line(complaints))


def _start(program: Program, output: IO[bytes], complaints: IO[bytes]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            list(program.words),
            stdin=subprocess.DEVNULL if program.message is None else subprocess.PIPE,
            stdout=output,
            stderr=complaints,
            cwd=program.folder,
            env={**os.environ, **program.environment},
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise EvaluationError(f"{program.words[0]}: it cannot be started; {reason}") from error


def _tell(process: subprocess.Popen[bytes], message: bytes) -> None:
    """A program that has ended before it read is found out by its status."""
    if process.stdin is not None:
        with suppress(BrokenPipeError):
            process.stdin.write(message)
            process.stdin.flush()


def _close(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        with suppress(BrokenPipeError):
            process.stdin.close()


def _await(process: subprocess.Popen[bytes], tick: Callable[[], None]) -> None:
    tick()  # at least once: the program may end before it is looked at
    while process.poll() is None:
        with suppress(subprocess.TimeoutExpired):
            process.wait(GLANCE)
        if process.poll() is None:
            tick()


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends what is left of the group: asked first, then by force."""
    until = monotonic() + GRACE
    _signal(process, signal.SIGTERM)
    while process.poll() is None and monotonic() < until:
        sleep(GLANCE)
    _signal(process, signal.SIGKILL)
    process.wait()


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    # macOS refuses to signal a group that holds only processes that have ended.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _read(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read()


def _last_line(file: IO[bytes]) -> str:
    lines = _read(file).decode(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
