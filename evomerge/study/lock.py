"""One process writes a run: the lock says so, and says who.

The kernel frees the lock when the process dies, however it dies.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
from contextlib import suppress
from pathlib import Path
from weakref import WeakSet

from evomerge.errors import SearchError
from evomerge.study.files import write_all

LOCK = "lock"


class RunLock:
    """The right to write a run, from when it is made until `release`."""

    def __init__(self, run: Path) -> None:
        """Takes the lock of the folder ``run``, which must exist.

        Raises:
            SearchError: another process holds it, or the file system has no locks.
            OSError: the folder cannot be written.
        """
        self._descriptor = -1
        while self._descriptor < 0:
            self._descriptor = _take(run)
        _held.add(self)
        with suppress(OSError):  # on a full disk the lock holds, without a name
            os.ftruncate(self._descriptor, 0)
            holder = {"pid": os.getpid(), "host": socket.gethostname()}
            write_all(self._descriptor, json.dumps(holder).encode())

    def release(self) -> None:
        """Gives the lock back. Twice does no harm."""
        if self._descriptor >= 0:
            with suppress(OSError):
                os.ftruncate(self._descriptor, 0)
        self.forget()

    def forget(self) -> None:
        """Closes the file, which in a forked child leaves the lock with its parent."""
        descriptor, self._descriptor = self._descriptor, -1
        _held.discard(self)
        if descriptor >= 0:
            os.close(descriptor)


def _take(run: Path) -> int:
    """A descriptor that holds the lock; -1 if the file was removed meanwhile."""
    path = run / LOCK
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        _lock(descriptor, run)
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                kept, descriptor = descriptor, -1
                return kept
        return -1
    finally:
        if descriptor >= 0:
            os.close(descriptor)


def _lock(descriptor: int, run: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise SearchError(
            f"{run}: is being written by {_holder(run / LOCK)}; let it end, or stop it with "
            f"Ctrl-C. To look at it meanwhile: evomerge report {run}"
        ) from error
    except OSError as error:
        raise SearchError(
            f"{run}: cannot be locked: {error.strerror}; put the run on a disk that has locks, "
            f"or two processes could write it at a time"
        ) from error


def _holder(path: Path) -> str:
    with suppress(OSError, ValueError, KeyError, TypeError):
        holder = json.loads(path.read_bytes())
        return f"process {holder['pid']} on {holder['host']}"
    return "another process"


# A lock belongs to an open file, which forked children share: a worker that outlived its parent
# would hold the run.
_held: WeakSet[RunLock] = WeakSet()


def _forget_all() -> None:
    for lock in list(_held):
        lock.forget()


os.register_at_fork(after_in_child=_forget_all)
