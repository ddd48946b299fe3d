"""Finds a model's measurements on disk, or has them made: once, whoever asks.

They are named by everything that decides them: what the model contains, its config and tokenizer,
what the data file contains, and the settings.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from functools import partial
from hashlib import blake2b
from pathlib import Path
from tempfile import mkdtemp
from threading import Lock
from typing import Protocol, runtime_checkable

import numpy as np

from evomerge.checkpoint.fingerprint import cache_folder, fingerprint_of
from evomerge.checkpoint.source import Source
from evomerge.checkpoint.tensor_file import TensorFile
from evomerge.errors import MergeError, OutputError
from evomerge.methods.measured import GRAM, Measured
from evomerge.recipe.data import Data

# Changed when what is measured changes: what was kept before is then made anew.
VERSION = 1
INDEX = "index.json"


@runtime_checkable
class Known(Protocol):
    """A source that can tell what it contains."""

    def fingerprint(self) -> str:
        """One hash of all its weights."""


class Measurements:
    """What was measured of one model. Any number of threads may read at once."""

    def __init__(self, folder: Path, kind: str, source: Source) -> None:
        """Opens a folder of measurements."""
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        self._norm = float(index["norm"])
        self._tensors: Mapping[str, Mapping[str, object]] = index["tensors"]
        self._folder = folder
        self._kind = kind
        self._source = source
        self._files: dict[str, TensorFile] = {}
        self._lock = Lock()

    def of(self, name: str) -> Measured | None:
        """What was measured of the tensor of this name; None if nothing was."""
        entry = self._tensors.get(name)
        if entry is None:
            return None
        file, key = self._file(str(entry["file"])), str(entry["key"])
        if self._kind == GRAM:
            partner = entry["partner"]
            return Measured(
                name,
                partial(_whole, file, key),
                partner=None if partner is None else partial(self._source.load, str(partner)),
                turned=bool(entry["turned"]),
            )
        return Measured(name, partial(_rows, file, key), norm=self._norm)

    def _file(self, name: str) -> TensorFile:
        with self._lock:
            if name not in self._files:
                self._files[name] = TensorFile(self._folder / name)
            return self._files[name]


def measurements_of(source: Source, kind: str, data: Data, device: str) -> Measurements:
    """The measurements of a model: those that were kept, or new ones, which are kept.

    Args:
        source: the model.
        kind: one of those of ``evomerge.methods.measured``.
        data: what it is shown.
        device: where to compute.

    Raises:
        EvomergeError: the model or the texts cannot be read, or nothing can be measured.
        OutputError: the user's cache cannot be written.
    """
    place = cache_folder() / "measurements" / _name(source, kind, data)
    if not (place / INDEX).is_file():
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            scratch = Path(mkdtemp(dir=place.parent, prefix=f".{place.name}."))
        except OSError as error:
            raise OutputError(
                f"{place.parent}: cannot be written: {error.strerror}; name another folder in "
                "EVOMERGE_CACHE"
            ) from error
        try:
            _make(source, kind, data, device, scratch)
            if not (place / INDEX).is_file():  # another process may have been faster
                os.replace(scratch, place)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return Measurements(place, kind, source)


def content_of(source: Source) -> str:
    """One hash of what a model contains.

    Raises:
        MergeError: it is no model of its own, but one in a new vocabulary.
    """
    if isinstance(source, Known):
        return source.fingerprint()
    raise MergeError(
        f"{source.label}: is read in another vocabulary than its own, in which it cannot be "
        "measured; leave out 'tokenizer_source' and 'tokenizer'"
    )


def _make(source: Source, kind: str, data: Data, device: str, folder: Path) -> None:
    from evomerge.measurements.of_model import measure

    measure(source, kind, data, device, folder)


def _name(source: Source, kind: str, data: Data) -> str:
    """The hash of all that decides what is measured."""
    tokenizer = sorted(source.folder.glob("*token*.json")) + sorted(source.folder.glob("*.jinja"))
    settings = {"items": data.items, "length": data.length, "batch": data.batch, "seed": data.seed}
    parts = {
        "version": VERSION,
        "kind": kind,
        "model": content_of(source),
        "config": dict(source.config),
        "tokenizer": fingerprint_of(tokenizer),
        "file": fingerprint_of([Path(data.file)]),
        "settings": settings,
    }
    return blake2b(json.dumps(parts, sort_keys=True).encode(), digest_size=16).hexdigest()


def _whole(file: TensorFile, key: str, rows: slice) -> np.ndarray:  # noqa: ARG001
    return file.load(key)


def _rows(file: TensorFile, key: str, rows: slice) -> np.ndarray:
    """Rows as the merge counts them: a vector or a scalar is one row."""
    shape = file.info(key).shape
    if len(shape) < 2:  # noqa: PLR2004
        return file.load(key).reshape(1, -1)
    return file.load(key, rows)
