"""Files that exist whole or not at all, and that outlast a power cut once they exist."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from evomerge.errors import OutputError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# What is said of folders that cannot be flushed: not on this file system, not by this user.
_NO_FOLDER_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EACCES)


def write_whole(path: Path, data: bytes) -> None:
    """Writes a file under another name, and renames it when it is on the disk.

    Whatever happens, ``path`` holds what it held before or all of ``data``. The other name is
    always the same, so that two processes must not write one file at a time, and what a killed
    one left is overwritten.

    Raises:
        OSError: the disk is full, or fails.
    """
    temporary = path.with_name(temporary_name(path.name))
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        descriptor = os.open(temporary, flags, 0o666)
        try:
            write_all(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    sync_folder(path.parent)


def temporary_name(name: str) -> str:
    """What a file is called until it is whole."""
    return f".{name}.tmp"


def write_all(descriptor: int, data: bytes) -> None:
    """Writes all of ``data``, however little the disk takes at a time.

    Raises:
        OSError: the disk is full, or fails.
    """
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]


def sync_folder(folder: Path) -> None:
    """Puts the names in ``folder`` on the disk: what was made, renamed and removed there.

    Raises:
        OSError: the disk fails.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise


@contextmanager
def explained(path: Path, then: str) -> Iterator[None]:
    """Says of a disk that fails what the user needs to know.

    Args:
        path: what is being written.
        then: what to do once the disk is well again.
    """
    try:
        yield
    except OSError as error:
        first = "free some space" if error.errno in _FULL else "mend that"
        raise OutputError(
            f"{path}: cannot be written: {error.strerror or error}; {first}, then {then}"
        ) from error
