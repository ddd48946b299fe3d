"""The first line of a study: what it is about, and who began it when."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import cached_property
from importlib.metadata import version
from typing import Any

from evomerge.errors import StudyError
from evomerge.study.chain import digest
from evomerge.study.json_text import write_json

HEADER = "header"
# Grows when a reader of today would misread what is written.
FORMAT = 1


@dataclass(frozen=True)
class Header:
    """What a study is about.

    Attributes:
        covers: everything that decides which trials are made, as a tree that JSON holds, with the
            keys ``recipe`` (a template), ``models``, ``evaluators``, ``objectives``,
            ``constraints``, ``optimizer``, ``seed``, ``lookahead`` and ``warm_start``. The order of
            keys counts: it is the order of a space's dimensions and of the baselines.
        created: when the study was begun, in ISO 8601, in UTC.
        version: of the evomerge that began it.
        format: of the study's files.
    """

    covers: Mapping[str, Any] = field(repr=False)
    created: str
    version: str
    format: int = FORMAT

    @classmethod
    def make(cls, covers: Mapping[str, object]) -> Header:
        """The header of a study that begins now.

        Raises:
            StudyError: ``covers`` holds NaN or infinity.
        """
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        # As it will be read back: lists for tuples, texts for keys.
        tree = json.loads(write_json(covers, "config"))
        return cls(tree, now, _version())

    @property
    def seed(self) -> int:
        """Where all chance of the search comes from."""
        return int(self.covers["seed"])

    @property
    def lookahead(self) -> int:
        """How many trials may be asked before the first of them is told."""
        return int(self.covers["lookahead"])

    @cached_property
    def digest(self) -> str:
        """A name for what the header covers: equal numbers count as equal, 1 and 1.0."""
        return digest(write_json(canonical(self.covers), "config"))

    def record(self) -> dict[str, Any]:
        """The header as a tree."""
        return {
            "kind": HEADER,
            "format": self.format,
            "created": self.created,
            "evomerge": self.version,
            "seed": self.seed,
            "lookahead": self.lookahead,
            "digest": self.digest,
            "covers": self.covers,
        }

    @classmethod
    def read(cls, record: Mapping[str, Any]) -> Header:
        """The header that `record` made a tree of.

        Raises:
            KeyError, TypeError: the tree is not one of a header.
        """
        return cls(record["covers"], record["created"], record["evomerge"], record["format"])


def check_format(record: Mapping[str, Any], where: str) -> None:
    """Refuses a study that this evomerge cannot read.

    Raises:
        StudyError: the record is no header, or one of a newer format.
    """
    if record.get("kind") != HEADER or not isinstance(record.get("format"), int):
        raise StudyError(f"{where}: is not the header of a study; name the folder of a run")
    if record["format"] > FORMAT:
        raise StudyError(
            f"{where}: has format {record['format']}, written by evomerge "
            f"{record.get('evomerge', 'of a later version')}; this is evomerge {_version()}, which "
            f"reads formats up to {FORMAT}: pip install -U evomerge"
        )


def canonical(tree: object) -> object:
    """``tree`` with one spelling of each number: 1 for 1.0."""
    if isinstance(tree, Mapping):
        return {key: canonical(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [canonical(value) for value in tree]
    if isinstance(tree, float) and tree.is_integer():
        return int(tree)
    return tree


def _version() -> str:
    return version("evomerge")
