"""A folder that exists whole or not at all: written under another name, renamed at the end.

The temporary folder ``.<name>.<random>.tmp`` stands beside the result, on the same file system,
so that one rename publishes it. Its writer holds a lock on a file in it; the kernel frees the
lock when the process dies, however it dies, and then the next run for the same result removes
the leftovers. That works between machines and containers, where a process number says nothing.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import shutil
from contextlib import suppress
from pathlib import Path

from evomerge.errors import OutputError

# What config, tokenizer, card and index may take beside the tensors: the largest tokenizer.json
# in use has 33 MB (Gemma 3).
SLACK_BYTES = 64 << 20

# Of these a model or an adapter has one.
_MARKS = {"config.json", "adapter_config.json"}

_GB = 1e9


def check_output(out: Path, *, force: bool) -> None:
    """Refuses a place where a result must not be put. Changes nothing.

    ``force`` allows to replace a model, and nothing else: a folder that was named by mistake may
    hold anything.

    Raises:
        OutputError: something stands there that must not be replaced, or it is a mount point,
            which a rename cannot replace.
    """
    try:
        str(out).encode()
    except UnicodeEncodeError as error:
        raise OutputError(f"{str(out)!r}: is not a name in UTF-8; choose another") from error
    if not os.path.isdir(out):
        if os.path.lexists(out):
            raise OutputError(f"{out}: is a file; name a folder")
        return
    if os.path.ismount(out):
        raise OutputError(f"{out}: is a mount point; name a new folder inside it")
    try:
        found = os.listdir(out)
    except OSError as error:
        raise OutputError(f"{out}: cannot be read: {error.strerror}; choose another") from error
    if found and not force:
        raise OutputError(f"{out}: exists and is not empty; choose another or add --force")
    if found and not _MARKS & set(found):
        raise OutputError(
            f"{out}: exists and is not a model (it has no config.json), so --force does not "
            f"replace it; choose another or delete it yourself"
        )


def check_space(out: Path, needed: int) -> None:
    """Refuses to begin what the disk cannot hold. Changes nothing.

    Args:
        out: the folder to be written, which need not exist.
        needed: bytes.

    Raises:
        OutputError: less than ``needed`` and a little for the small files is free.
    """
    place = next(folder for folder in (out, *out.parents) if os.path.isdir(folder))
    free = shutil.disk_usage(place).free
    if free < needed + SLACK_BYTES:
        raise OutputError(
            f"{out}: not enough space: {free / _GB:.2f} GB free, but "
            f"{(needed + SLACK_BYTES) / _GB:.2f} GB needed; free some or choose another disk"
        )


class Workplace:
    """The temporary folder of one result, and the parent folders made for it.

    Attributes:
        out: where the result will stand.
        folder: the temporary folder.
    """

    def __init__(self, out: Path) -> None:
        """Makes the folder, and its parents where they are missing.

        Raises:
            OutputError: that is not possible.
        """
        self.out = out
        self.folder = out.parent / f".{out.name}.{secrets.token_hex(4)}.tmp"
        self._made: list[Path] = []
        try:
            for parent in reversed([p for p in out.parents if not os.path.exists(p)]):
                parent.mkdir(exist_ok=True)
                self._made.append(parent)
            self.folder.mkdir()
        except BaseException as error:
            self.discard()
            if isinstance(error, OSError):
                raise OutputError(
                    f"{out}: cannot be created: {error.strerror}; choose a folder you can write"
                ) from error
            raise

    def publish(self, *, force: bool) -> None:
        """Renames the temporary folder to its final name.

        With ``force``, what stood there is put aside first, put back if the rename fails, and
        deleted otherwise.

        Raises:
            OutputError: something stands there and may not be replaced, or the rename fails.
        """
        check_output(self.out, force=force)
        aside = self.folder.with_suffix(".old")
        try:
            if self.out.is_dir():
                self.out.rename(aside)
            self.folder.rename(self.out)
        except BaseException as error:
            if aside.is_dir() and not self.out.exists():
                aside.rename(self.out)
            if isinstance(error, OSError):
                raise OutputError(
                    f"{self.out}: cannot be put in place: {error.strerror}; choose another"
                ) from error
            raise
        shutil.rmtree(aside, ignore_errors=True)

    def discard(self) -> None:
        """Removes the temporary folder and the parents made for it, as far as they are empty."""
        shutil.rmtree(self.folder, ignore_errors=True)
        for parent in reversed(self._made):
            with suppress(OSError):
                parent.rmdir()


def lock(descriptor: int) -> bool:
    """Takes the lock on an open file which says that its writer lives. False if it is taken.

    False, too, on a file system that has no locks: there, nothing is ever taken for abandoned.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def remove_leftovers(out: Path) -> None:
    """Removes what runs for the same result left behind when they were killed.

    A folder whose writer lives is left alone.
    """
    for folder in _leftovers(out, "tmp"):
        if _is_abandoned(folder):
            shutil.rmtree(folder, ignore_errors=True)
    if os.path.isdir(out):  # otherwise what was put aside is the only result there is
        for folder in _leftovers(out, "old"):
            shutil.rmtree(folder, ignore_errors=True)


def _leftovers(out: Path, suffix: str) -> list[Path]:
    pattern = re.compile(rf"\.{re.escape(out.name)}\.[0-9a-f]{{8}}\.{suffix}")
    if not os.path.isdir(out.parent):
        return []
    return [path for path in out.parent.iterdir() if pattern.fullmatch(path.name)]


def _is_abandoned(folder: Path) -> bool:
    """Whether the writer is dead: the first of its files has content, and nobody's lock.

    A writer locks that file while it is empty, so an empty one may have a writer that is just
    beginning.
    """
    file = min(folder.glob("*.safetensors"), default=None)
    if file is None:
        return False
    try:
        descriptor = os.open(file, os.O_RDWR)
    except OSError:
        return False
    try:
        return os.fstat(descriptor).st_size > 0 and lock(descriptor)
    finally:
        os.close(descriptor)
