"""Finds an alignment on disk, or has it found: once, whoever asks.

It is named by everything that decides it: what both models contain, their configs and tokenizers,
the settings, and the content of files that they name. With it is kept what its check found.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from hashlib import blake2b
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
from safetensors.numpy import load_file, save_file

from evomerge.aligners.base import Alignment, Settings, align
from evomerge.aligners.pairs import pair_of
from evomerge.alignment.fit import Fit
from evomerge.alignment.packing import packed, unpacked
from evomerge.checkpoint.fingerprint import cache_folder, fingerprint_of
from evomerge.checkpoint.source import Source
from evomerge.errors import OutputError
from evomerge.measurements.kept import content_of
from evomerge.recipe.align import GROUPS

# Changed when what is found changes: what was kept before is then found anew.
VERSION = 1
INDEX, ARRAYS = "index.json", "element.safetensors"


@dataclass(frozen=True)
class Kept:
    """An alignment, and what its check found.

    Attributes:
        alignment: what brings the one model to the other.
        change: how much the logits of a probe batch change, relative to their norm.
    """

    alignment: Alignment
    change: float


def place_of(source: Source, anchor: Source, settings: Settings) -> Path:
    """Where an alignment is kept; the first time, the content of both models is read."""
    parts = {
        "version": [VERSION, *(field.name for field in fields(Fit))],
        "models": [_told(each) for each in (source, anchor)],
        "method": settings.method,
        "groups": [group for group in GROUPS if group in settings.groups],
        "seed": settings.seed,
        "options": settings.options,
        "files": {path: fingerprint_of([Path(path)]) for path in files_in(settings.options)},
    }
    name = blake2b(json.dumps(parts, sort_keys=True).encode(), digest_size=16).hexdigest()
    return cache_folder() / "alignments" / name


def is_kept(source: Source, anchor: Source, settings: Settings) -> bool:
    """Whether an alignment was found before."""
    return (place_of(source, anchor, settings) / INDEX).is_file()


def alignment_of(source: Source, anchor: Source, settings: Settings) -> Kept:
    """What brings a model to an anchor: what was kept, or what is found now, which is then kept.

    Raises:
        AlignmentError: the models cannot be aligned in this way, or what is found would change
            what the model computes.
        EvomergeError: a model cannot be read.
        OutputError: the user's cache cannot be written.
    """
    place = place_of(source, anchor, settings)
    if not (place / INDEX).is_file():
        found = _found(source, anchor, settings)
        try:
            _write(found, place)
        except OSError as error:
            raise OutputError(
                f"{place.parent}: cannot be written: {error.strerror}; name another folder in "
                "EVOMERGE_CACHE"
            ) from error
    return _read(place)


def files_in(options: object) -> Iterator[str]:
    """The files that options name."""
    if isinstance(options, str) and Path(options).is_file():
        yield options
    if isinstance(options, Mapping):
        options = tuple(options.values())
    for each in options if isinstance(options, tuple | list) else ():
        yield from files_in(each)


def _found(source: Source, anchor: Source, settings: Settings) -> Kept:
    from evomerge.aligners.proving import change_of

    alignment = align(pair_of(source, anchor), settings)
    return Kept(alignment, change_of(source, alignment.element))


def _told(source: Source) -> dict[str, object]:
    tokenizer = sorted(source.folder.glob("*token*.json")) + sorted(source.folder.glob("*.jinja"))
    return {
        "content": content_of(source),
        "config": dict(source.config),
        "tokenizer": fingerprint_of(tokenizer),
    }


def _write(found: Kept, place: Path) -> None:
    """Writes a folder that others see whole or not at all."""
    arrays, element = packed(found.alignment.element)
    index = {
        "element": element,
        "fits": [asdict(fit) for fit in found.alignment.fits],
        "siblings": found.alignment.siblings,
        "change": found.change,
    }
    place.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(mkdtemp(dir=place.parent, prefix=f".{place.name}."))
    try:
        save_file(arrays, scratch / ARRAYS)
        (scratch / INDEX).write_text(json.dumps(index), encoding="utf-8")
        if not (place / INDEX).is_file():  # another process may have been faster
            os.replace(scratch, place)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _read(place: Path) -> Kept:
    index = json.loads((place / INDEX).read_text(encoding="utf-8"))
    arrays: dict[str, np.ndarray] = load_file(place / ARRAYS)
    fits = tuple(Fit(**fit) for fit in index["fits"])
    element = unpacked(arrays, index["element"])
    return Kept(Alignment(element, fits, bool(index["siblings"])), float(index["change"]))
