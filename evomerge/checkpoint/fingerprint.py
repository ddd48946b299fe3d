"""What a checkpoint contains, as one hash: the same wherever it lies.

Reading every byte takes about a second a gigabyte, so the hash of each file is kept in the
user's cache, under the file's path, size, time of change and inode.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from tempfile import NamedTemporaryFile

from evomerge.errors import CheckpointError

# Hashed separately, so that threads can share a file. Changing it changes every fingerprint.
CHUNK_BYTES = 1 << 26
# Reads are small enough to stay in a core's cache until they are hashed.
_READ_BYTES = 1 << 20
DIGEST_BYTES = 16

# Changes closer together than a file system's clock ticks are not told apart, so a file is not
# cached until it has rested this long.
_REST_NS = 2_000_000_000


def fingerprint_of(files: Sequence[Path]) -> str:
    """The hash of some files' names, sizes and contents: 32 hexadecimal digits.

    Raises:
        CheckpointError: a file cannot be read, or changes while it is being hashed.
    """
    total = blake2b(digest_size=DIGEST_BYTES)
    for file in sorted(files, key=lambda file: file.name):
        total.update(f"{file.name}\0{file.stat().st_size}\0{_content(file)}\n".encode())
    return total.hexdigest()


def cache_folder() -> Path:
    """Where evomerge keeps what it can compute again."""
    if chosen := os.environ.get("EVOMERGE_CACHE"):
        return Path(chosen).expanduser()
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base) / "evomerge"
    return Path.home() / ".cache" / "evomerge"


def _content(file: Path) -> str:
    """The hash of a file's content, from the cache if the file is as it was."""
    path = file.resolve()
    key = _identity(path)
    entry = cache_folder() / "fingerprints" / f"{blake2b(key.encode(), digest_size=16).hexdigest()}"
    with suppress(OSError, ValueError, KeyError, TypeError):
        kept = json.loads(entry.read_text())
        if kept["key"] == key:
            return str(kept["content"])
    content = _hash(path)
    if _identity(path) != key:
        raise CheckpointError(f"{file}: changed while it was being read; try again")
    if time.time_ns() - path.stat().st_mtime_ns > _REST_NS:
        with suppress(OSError):  # no cache is slower, not wrong
            _write_whole(entry, json.dumps({"key": key, "content": content}))
    return content


def _identity(path: Path) -> str:
    """What changes when a file does."""
    status = path.stat()
    return f"{path}|{status.st_size}|{status.st_mtime_ns}|{status.st_ino}"


def _hash(path: Path) -> str:
    """The hash of the hashes of a file's chunks, which are computed side by side."""
    starts = range(0, path.stat().st_size, CHUNK_BYTES)
    with ThreadPoolExecutor(min(len(starts), os.cpu_count() or 1) or 1) as pool:
        digests = list(pool.map(lambda start: _hash_chunk(path, start), starts))
    return blake2b(b"".join(digests), digest_size=DIGEST_BYTES).hexdigest()


def _hash_chunk(path: Path, start: int) -> bytes:
    digest = blake2b(digest_size=DIGEST_BYTES)
    try:
        with path.open("rb", buffering=0) as file:
            file.seek(start)
            for part in _parts(file.fileno()):
                digest.update(part)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}") from error
    return digest.digest()


def _parts(descriptor: int) -> Iterator[memoryview]:
    """The chunk that begins where the file stands, piece by piece, in one reused buffer."""
    buffer = memoryview(bytearray(_READ_BYTES))
    left = CHUNK_BYTES
    while left and (count := os.readv(descriptor, [buffer[:left]])):
        yield buffer[:count]
        left -= count


def _write_whole(path: Path, text: str) -> None:
    """Writes a file that others see whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
        try:
            file.write(text)
            file.close()
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise
