"""Trials: what was tried, what came of it, and what each item contributed to its scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

# One value for each dimension of a search space; a choice is named by the label of its option.
Value: TypeAlias = float | int | str
Point: TypeAlias = Mapping[str, Value]

# What one item adds to a score: a number to average, or what else the aggregation takes, such as
# (log-likelihood, bytes) for bits per byte.
Contribution: TypeAlias = float | int | str | Sequence["Contribution"] | None

# The stages of a run, in their order.
BASELINES, SEARCH, RETRIES = "baselines", "search", "retries"
SIMPLIFICATION, HOLDOUT = "simplification", "holdout"

# The kind of failure of a candidate that a few items showed to be worth no more.
DEAD: Literal["dead"] = "dead"


@dataclass(frozen=True)
class Score:
    """One number that an evaluator gave.

    Attributes:
        value: the number.
        higher_is_better: its direction.
        items: how many items went into it; 0 for what is counted, and exact.
    """

    value: float
    higher_is_better: bool
    items: int


@dataclass(frozen=True)
class ItemTable:
    """What each item contributed to one metric of one task.

    Attributes:
        evaluator: the name that the config gives it.
        task: a task of the evaluator.
        metric: the metric, as the evaluator calls it.
        filter: what was done to the answers before they were scored.
        aggregation: how contributions become a value: ``mean``, ``bits_per_byte``, …
        share: the weight of this table's value in the evaluator's score, in [0, 1]; 0 where it is
            only reported. The score is the sum of share times value over the tables.
        contributions: by the item's index in its task.
        clusters: by the item's index, the name of the group of items that it depends on; empty
            where every item stands for itself.
    """

    evaluator: str
    task: str
    metric: str
    filter: str
    aggregation: str
    share: float
    contributions: Mapping[int, Contribution] = field(repr=False)
    clusters: Mapping[int, str] = field(default_factory=dict, repr=False)


def behind(name: str, tables: Sequence[ItemTable]) -> Iterator[tuple[ItemTable, float]]:
    """Of ``tables`` those behind a score, and the weight of each in it; none if it has no items.

    ``sums`` is the score of that evaluator; ``sums.acc``, or ``sums.task.acc`` where there are
    several tasks, is one of its tables, the first one unless ``@filter`` says which.
    """
    main = [table for table in tables if table.evaluator == name and table.share]
    if main:
        yield from ((table, table.share) for table in main)
        return
    plain, _, wanted = name.partition("@")
    for table in tables:
        names = (
            f"{table.evaluator}.{table.metric}",
            f"{table.evaluator}.{table.task}.{table.metric}",
        )
        if plain in names and wanted in {"", table.filter}:
            yield table, 1.0
            return


@dataclass(frozen=True)
class Failure:
    """Why a trial has no scores.

    Attributes:
        kind: ``error`` comes of the candidate and would come again; ``deadline``, ``memory`` and
            ``worker`` (it died) may not. ``dead`` is what did not get past the probe, and was not
            scored on all items.
        message: one line.
    """

    kind: Literal["error", "deadline", "memory", "worker", "dead"]
    message: str


@dataclass(frozen=True)
class Result:
    """What came of one recipe.

    Attributes:
        scores: by name: ``sums`` is the score of the evaluator of that name, ``sums.acc`` another
            of its metrics. Empty after a failure.
        tables: the items behind the scores.
        failure: why there are no scores.
        seconds: by phase: ``merge``, ``evaluate``, …
        attempts: how often it was tried.
    """

    scores: Mapping[str, Score] = field(default_factory=dict)
    tables: tuple[ItemTable, ...] = field(default=(), repr=False)
    failure: Failure | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    attempts: int = 1


@dataclass(frozen=True)
class Trial:
    """One line of a study. Its items stand in a file of their own.

    Attributes:
        number: its place in the study, from 0.
        stage: ``baselines``, ``search``, ``retries``, ``simplification`` or ``holdout``, or the
            name of a stage of a chain.
        recipe: what was built, as the tree of its YAML.
        label: what reports call it: ``base``, ``uniform soup``; empty for most.
        point: where in the space it stands, values that its recipe does not read at the middle of
            their range; None for a recipe that the template cannot express.
        scores: see ``Result``.
        failure: why there are no scores.
        seconds: by phase; ``ask`` is the optimizer's.
        attempts: how often it was tried.
        recalled: the trial whose result this one repeats, because it built the same recipe.
        subject: for a line of ``holdout`` or ``retries`` the trial that was scored again; for one
            of ``simplification`` the trial that is being simplified.
    """

    number: int
    stage: str
    recipe: Mapping[str, object] = field(repr=False)
    label: str = ""
    point: Point | None = None
    scores: Mapping[str, Score] = field(default_factory=dict)
    failure: Failure | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    attempts: int = 1
    recalled: int | None = None
    subject: int | None = None
