"""Trials and tables of items as trees that JSON holds, and back.

Fields at their default are left out, so that a line shows what is particular about its trial.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, fields
from typing import Any

from evomerge.study.json_text import write_json
from evomerge.trial import Contribution, Failure, ItemTable, Score, Trial

TRIAL = "trial"
# What a line has beside the fields of a trial.
_BESIDE = ("kind", "items", "chain")


def trial_record(trial: Trial) -> dict[str, Any]:
    """The tree of a trial."""
    record = {"kind": TRIAL, **_particulars(trial)}
    if trial.scores:
        record["scores"] = {name: vars(score) for name, score in trial.scores.items()}
    if trial.failure is not None:
        record["failure"] = vars(trial.failure)
    return record


def read_trial(record: Mapping[str, Any]) -> Trial:
    """The trial that `trial_record` made a tree of.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: the tree is not one of a trial.
    """
    tree = {key: value for key, value in record.items() if key not in _BESIDE}
    tree["scores"] = {name: Score(**score) for name, score in tree.get("scores", {}).items()}
    if "failure" in tree:
        tree["failure"] = Failure(**tree["failure"])
    return Trial(**tree)


def write_tables(tables: Sequence[ItemTable], where: str) -> bytes:
    """The content of an items file: a list of tables, one on a line.

    Raises:
        StudyError: a contribution is NaN or infinite.
    """
    lines = [
        write_json(_particulars(table), f"{where}: {table.evaluator}.{table.task}.{table.metric}")
        for table in tables
    ]
    return b"[\n" + b",\n".join(lines) + b"\n]\n"


def read_tables(data: bytes) -> tuple[ItemTable, ...]:
    """The tables that `write_tables` wrote; sequences among contributions come back as tuples.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: this is not the content of an items file.
    """
    return tuple(_table(tree) for tree in json.loads(data))


def _table(tree: dict[str, Any]) -> ItemTable:
    # JSON has only texts as keys.
    tree["contributions"] = {
        int(item): _as_tuples(value) for item, value in tree["contributions"].items()
    }
    tree["clusters"] = {int(item): name for item, name in tree.get("clusters", {}).items()}
    return ItemTable(**tree)


def _as_tuples(contribution: Contribution) -> Contribution:
    if isinstance(contribution, list):
        return tuple(_as_tuples(one) for one in contribution)
    return contribution


def _particulars(record: Trial | ItemTable) -> dict[str, Any]:
    """The fields that differ from their default."""
    values = {field: getattr(record, field.name) for field in fields(record)}
    return {field.name: value for field, value in values.items() if value != _default(field)}


def _default(field: Field[Any]) -> object:
    if field.default_factory is not MISSING:
        return field.default_factory()
    return field.default
