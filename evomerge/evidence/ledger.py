"""What evidence needs of a study: its trials, their items, and what it was made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from evomerge.goals import Goals
from evomerge.trial import BASELINES, HOLDOUT, RETRIES, ItemTable, Trial

BASE, PARENT = "base", "parent "


class Header(Protocol):
    """What decides the run."""

    @property
    def seed(self) -> int:
        """Of everything that is drawn."""


class Ledger(Protocol):
    """A study, as far as evidence reads and writes it."""

    @property
    def header(self) -> Header:
        """What decides the run."""

    @property
    def goals(self) -> Goals:
        """What the run is for."""

    @property
    def config(self) -> Mapping[str, object]:
        """The whole config."""

    @property
    def trials(self) -> Sequence[Trial]:
        """All of them, by number."""

    def find(self, number: int) -> Trial:
        """One of them."""

    def append(self, trial: Trial, tables: Sequence[ItemTable] = ()) -> None:
        """Records one more."""

    def tables(self, number: int) -> tuple[ItemTable, ...]:
        """The items of one of them."""


def baselines(study: Ledger) -> list[Trial]:
    """What was scored before the search."""
    return [trial for trial in study.trials if trial.stage == BASELINES]


def is_rival(trial: Trial) -> bool:
    """Whether it is what a winner must beat: the base, or a parent."""
    named = trial.label == BASE or trial.label.startswith(PARENT)
    return named and trial.stage in (BASELINES, RETRIES)


def holdout_lines(study: Ledger) -> dict[int, Trial]:
    """By the number of a trial, the latest line in which it was scored on the holdout.

    A line with scores is never displaced by a failure.
    """
    lines: dict[int, Trial] = {}
    for trial in study.trials:
        if trial.stage == HOLDOUT and trial.subject is not None:
            known = lines.get(trial.subject)
            if known is None or known.failure is not None:
                lines[trial.subject] = trial
    return lines
