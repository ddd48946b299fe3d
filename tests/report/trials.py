"""Trials of searches that never ran, in few words."""

from __future__ import annotations

from collections.abc import Mapping

from evomerge.goals import Goals
from evomerge.trial import BASELINES, SEARCH, Failure, Score, Trial

ONE = Goals({"sums": 1.0})
SUMMED = Goals({"sums": 1.0, "words": 0.5})
APART = Goals({"sums": 1.0, "words": 1.0}, pareto=True)
LOWER = ("prose", "cost")  # scores of these names are to be made small
ITEMS = 200


def linear(weight: float) -> dict[str, object]:
    """The tree of a recipe."""
    models = [
        {"model": "sums", "parameters": {"weight": weight}},
        {"model": "words", "parameters": {"weight": 1.0}},
    ]
    return {"models": models, "merge_method": "linear"}


def scored(**values: float) -> dict[str, Score]:
    """Scores by name; all count up but those of `LOWER`."""
    return {name: Score(value, name not in LOWER, ITEMS) for name, value in values.items()}


def trial(number: int, stage: str = SEARCH, *, values: Mapping[str, float], **more) -> Trial:
    """A trial with scores, at the point of its number."""
    weight = round(0.01 * number, 6)
    given = {"recipe": linear(weight), "point": {"weight": weight}, "seconds": {"merge": 1.0}}
    return Trial(number, stage, **{**given, "scores": scored(**values), **more})


def failed(number: int, message: str = "out of luck", kind: str = "error", **more) -> Trial:
    """A trial without scores."""
    return trial(number, values={}, failure=Failure(kind, message), **more)


def baseline(number: int, label: str, **values: float) -> Trial:
    """A trial before the search."""
    return trial(number, BASELINES, values=values, label=label)
