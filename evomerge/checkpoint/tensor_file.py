"""One safetensors file: its header is checked once, its tensors are read by rows.

A file is 8 bytes with the header's length, the header (JSON), and the tensors back to back [1].
Tensors are read with ``preadv`` straight into arrays. A memory map would be as fast, but the
pages it has touched count as this process's memory until the map is closed.

[1] https://huggingface.co/docs/safetensors/index#format
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from errno import EMFILE
from pathlib import Path

import numpy as np

from evomerge.checkpoint.documents import Document, parse_json
from evomerge.checkpoint.fingerprint import fingerprint_of
from evomerge.checkpoint.tensors import TensorInfo
from evomerge.dtypes import SAFETENSORS
from evomerge.errors import CheckpointError

# The cap of the safetensors library itself.
MAX_HEADER_BYTES = 100_000_000
_LENGTH_BYTES = 8
# What a repository holds in the place of a large file that was not fetched with it.
_PLACEHOLDER = b"version https://git-lfs"

Rows = slice | np.ndarray | None


@dataclass(frozen=True)
class _Place:
    """A tensor of a file: what it is, and the byte it starts at."""

    info: TensorInfo
    start: int


class TensorFile:
    """An open safetensors file. Any number of threads may read from it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = _open(path)
        self._finalizer = weakref.finalize(self, os.close, self._descriptor)
        try:
            self._places = _places(path, self._descriptor)
        except CheckpointError:
            self.close()
            raise
        except OSError as error:
            self.close()
            raise CheckpointError(f"{path}: cannot be read: {error.strerror}") from error
        self.tensors: Mapping[str, TensorInfo] = {n: p.info for n, p in self._places.items()}

    def info(self, name: str) -> TensorInfo:
        """Shape and element type of a tensor of this file."""
        return self._places[name].info

    def load(self, name: str, rows: Rows = None, out: np.ndarray | None = None) -> np.ndarray:
        """Rows of a tensor; see `evomerge.checkpoint.reader.Checkpoint.load`."""
        if not self._finalizer.alive:
            raise ValueError(f"{self.path} is closed")
        place = self._places[name]
        shape, runs = _select(rows, place.info)
        if out is None:
            out = np.empty(shape, place.info.dtype)
        _check_buffer(out, shape, place.info)
        if not out.size:
            return out
        into = out.reshape(-1).view(np.uint8).data
        row_bytes = out.nbytes // shape[0] if shape else out.nbytes
        for first, count in runs:
            length = count * row_bytes
            self._read(name, place.start + first * row_bytes, into[:length])
            into = into[length:]
        return out

    def fingerprint(self) -> str:
        """One hash of the file; computed once, and cached for later runs."""
        return fingerprint_of([self.path])

    def close(self) -> None:
        """Closes the file. It cannot be read afterwards; closing twice does nothing."""
        if self._finalizer.detach():
            os.close(self._descriptor)

    def _read(self, name: str, start: int, into: memoryview) -> None:
        """Fills ``into``. One call reads at most 2 GiB (Linux), and may read less."""
        while into:
            try:
                count = os.preadv(self._descriptor, [into], start)
            except OSError as error:
                raise CheckpointError(f"{self.path}: {name}: {error.strerror}") from error
            if not count:
                raise CheckpointError(
                    f"{self.path}: {name}: the file ends inside this tensor; it was cut short "
                    "after it was opened"
                )
            start += count
            into = into[count:]


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDONLY)
    except OSError as error:
        remedy = "; raise the limit with `ulimit -n 65536`" if error.errno == EMFILE else ""
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}{remedy}") from error


def _select(rows: Rows, info: TensorInfo) -> tuple[tuple[int, ...], Iterator[tuple[int, int]]]:
    """The shape of a selection, and its runs of consecutive rows as (first, count)."""
    if rows is None:
        return info.shape, iter([(0, info.shape[0] if info.shape else 1)])
    if not info.shape:
        raise ValueError(f"{info.name} is a scalar and has no rows")
    if isinstance(rows, slice):
        chosen = range(*rows.indices(info.grid[0]))
        if chosen.step == 1:
            return (len(chosen), *info.grid[1:]), iter([(chosen.start, len(chosen))])
        rows = np.array(chosen, np.int64)
    if rows.ndim != 1 or rows.dtype.kind not in "iu":
        raise ValueError(f"{info.name}: rows are a slice or a 1-d array of integers")
    if rows.size and not 0 <= rows.min() <= rows.max() < info.grid[0]:
        raise IndexError(f"{info.name} has rows 0 to {info.grid[0] - 1}; asked for others")
    return (len(rows), *info.grid[1:]), _runs(rows)


def _runs(rows: np.ndarray) -> Iterator[tuple[int, int]]:
    """The stretches of an index array that stand in the file one after the other."""
    ends = np.flatnonzero(np.diff(rows.astype(np.int64)) != 1) + 1
    starts = [0, *ends.tolist()]
    for start, end in zip(starts, [*ends.tolist(), len(rows)], strict=True):
        if end > start:
            yield int(rows[start]), end - start


def _check_buffer(out: np.ndarray, shape: tuple[int, ...], info: TensorInfo) -> None:
    if out.shape != shape or out.dtype != info.dtype or not out.flags.c_contiguous:
        raise ValueError(
            f"{info.name}: the buffer is {out.dtype}{out.shape}; "
            f"expected a contiguous {info.dtype}{shape}"
        )


def _places(path: Path, descriptor: int) -> dict[str, _Place]:
    """Reads and checks a header: every tensor's place in the file, in the file's order."""
    size = os.fstat(descriptor).st_size
    length = int.from_bytes(_read_exactly(descriptor, _LENGTH_BYTES, 0), "little")
    data = _LENGTH_BYTES + length
    if _read_exactly(descriptor, len(_PLACEHOLDER), 0) == _PLACEHOLDER:
        raise CheckpointError(
            f"{path}: a placeholder of Git LFS, not the file itself; fetch it with `git lfs pull`"
        )
    if size < _LENGTH_BYTES or length > MAX_HEADER_BYTES or data > size:
        raise CheckpointError(
            f"{path}: not a safetensors file, or cut short: {size} bytes, of which the header "
            f"would take {length}; download it again"
        )
    header = parse_json(_read_exactly(descriptor, length, _LENGTH_BYTES), f"{path}: header")
    header.pop("__metadata__", None)
    places = [_place(path, name, entry, data) for name, entry in header.items()]
    places.sort(key=lambda place: (place.start, place.info.nbytes))
    _check_layout(path, places, data, size)
    return {place.info.name: place for place in places}


def _read_exactly(descriptor: int, length: int, start: int) -> bytes:
    """At most ``length`` bytes: fewer where the file ends."""
    parts = []
    while length and (part := os.pread(descriptor, length, start)):
        parts.append(part)
        length -= len(part)
        start += len(part)
    return b"".join(parts)


def _place(path: Path, name: str, entry: object, data: int) -> _Place:
    """One entry of a header, checked by itself. ``data`` is where the tensors begin."""
    where = f"{path}: {name}"
    try:
        code, shape, begin, end = _fields(entry)
    except (TypeError, ValueError, KeyError) as error:
        raise CheckpointError(
            f"{where}: the header says {entry!r}; expected dtype, shape and data_offsets"
        ) from error
    if code not in SAFETENSORS:
        raise CheckpointError(
            f"{where}: element type {code} is not supported; readable: {', '.join(SAFETENSORS)}"
        )
    info = TensorInfo(name, shape, SAFETENSORS[code])
    if end - begin != info.nbytes:
        raise CheckpointError(
            f"{where}: takes {end - begin} bytes in the file; {code} of shape {shape} "
            f"needs {info.nbytes}"
        )
    return _Place(info, data + begin)


def _fields(entry: object) -> tuple[str, tuple[int, ...], int, int]:
    if not isinstance(entry, dict):
        raise TypeError
    fields: Document = entry
    shape, offsets = fields["shape"], fields["data_offsets"]
    if not isinstance(shape, list) or not isinstance(offsets, list):
        raise TypeError
    numbers = [*shape, *offsets]
    if any(type(number) is not int or number < 0 for number in numbers):
        raise ValueError
    begin, end = offsets
    return str(fields["dtype"]), tuple(shape), begin, end


def _check_layout(path: Path, places: list[_Place], data: int, size: int) -> None:
    """Tensors follow each other without overlap or hole up to the end of the file."""
    end = data
    for place in places:
        if place.start != end:
            fault = "overlaps the tensor before it" if place.start < end else "follows a hole"
            raise CheckpointError(f"{path}: {place.info.name}: {fault}; the file is corrupt")
        end += place.info.nbytes
        if end > size:
            raise CheckpointError(
                f"{path}: {place.info.name}: the file is cut short: it has {size} bytes, this "
                f"tensor ends at {end}; download it again"
            )
    if end != size:
        raise CheckpointError(
            f"{path}: {size - end} bytes follow the last tensor; the file is corrupt"
        )
