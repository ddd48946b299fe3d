"""Items gained and lost from one trial to another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import log

from evomerge.trial import Contribution, ItemTable, Score

# Aggregations of log-likelihoods, each alone or with its number of bytes, words or tokens.
LIKELIHOODS = frozenset(
    {
        "bits_per_byte",
        "byte_perplexity",
        "perplexity",
        "weighted_perplexity",
        "word_perplexity",
    }
)


@dataclass(frozen=True)
class Change:
    """What happened to the items of one metric of one task.

    Attributes:
        evaluator: the name that the config gives it.
        task: a task of the evaluator.
        metric: the metric, and the filter where there is one.
        items: how many items both trials have.
        gained: the indices of those on which the second trial is better.
        lost: of those on which it is worse.
        difference: the mean over the items of second minus first: in the metric's units, or for
            likelihoods in bits for each byte, word or token.
        remark: why items cannot be compared; then there are no numbers.
    """

    evaluator: str
    task: str
    metric: str
    items: int = 0
    gained: tuple[int, ...] = ()
    lost: tuple[int, ...] = ()
    difference: float = 0.0
    remark: str = ""


def changes(
    scores: Mapping[str, Score], before: Sequence[ItemTable], after: Sequence[ItemTable]
) -> list[Change]:
    """What a trial gained and lost against another, in the metrics that both have.

    Args:
        scores: of either trial; they tell which direction is better.
        before: the tables of the other.
        after: the tables of the trial.
    """
    new = {_key(table): table for table in after}
    return [_change(old, new[_key(old)], scores) for old in before if _key(old) in new]


def _key(table: ItemTable) -> tuple[str, str, str, str]:
    return table.evaluator, table.task, table.metric, table.filter


def _change(old: ItemTable, new: ItemTable, scores: Mapping[str, Score]) -> Change:
    metric = old.metric if old.filter in ("", "none") else f"{old.metric} ({old.filter})"
    named = (old.evaluator, old.task, metric)
    up = -1 if old.aggregation in LIKELIHOODS else _direction(scores, old)
    if up is None:
        return Change(*named, remark="which direction is better was not recorded")
    pairs = dict(_pairs(old, new))
    if not pairs:
        return Change(*named, remark="no items in common that are numbers")
    steps = {item: after - before for item, (before, after) in pairs.items()}
    return Change(
        *named,
        items=len(steps),
        gained=tuple(item for item, step in steps.items() if step * up > 0),
        lost=tuple(item for item, step in steps.items() if step * up < 0),
        difference=sum(steps.values()) / len(steps),
    )


def _direction(scores: Mapping[str, Score], table: ItemTable) -> int | None:
    """1 if a larger contribution is better, -1 if a smaller one is, None if that is unknown."""
    metric = f"{table.evaluator}.{table.metric}"
    task = f"{table.evaluator}.{table.task}.{table.metric}"
    names = [f"{metric}@{table.filter}", f"{task}@{table.filter}", metric, task]
    if table.share:
        names.append(table.evaluator)
    found = [scores[name] for name in names if name in scores]
    return None if not found else 1 if found[0].higher_is_better else -1


def _pairs(old: ItemTable, new: ItemTable) -> Iterator[tuple[int, tuple[float, float]]]:
    for item in sorted(set(old.contributions) & set(new.contributions)):
        before = _number(old.contributions[item], old.aggregation)
        after = _number(new.contributions[item], new.aggregation)
        if before is not None and after is not None:
            yield item, (before, after)


def _number(contribution: Contribution, aggregation: str) -> float | None:
    """One item's part in a score as a number; None if it is something else."""
    if aggregation in LIKELIHOODS:
        return _bits(contribution)
    return float(contribution) if isinstance(contribution, int | float) else None


def _bits(contribution: Contribution) -> float | None:
    match contribution:
        case int() | float():
            return -contribution / log(2)
        case [int() | float() as likelihood, int() | float() as length] if length:
            return -likelihood / length / log(2)
    return None
