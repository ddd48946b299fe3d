"""An ordinary run: two experts, one weight, three items."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from evomerge.study import Header, Study
from evomerge.trial import ItemTable, Score, Trial

# What a run of two experts covers.
COVERS = {
    "recipe": {
        "merge_method": "linear",
        "models": [
            {"model": "sums", "parameters": {"weight": {"search": [0, 1]}}},
            {"model": "words", "parameters": {"weight": {"search": [0, 1], "knots": 3}}},
        ],
    },
    "models": {
        "sums": {"reference": "zoo/sums", "fingerprint": "a" * 32},
        "words": {"reference": "zoo/words", "fingerprint": "b" * 32},
    },
    "evaluators": {"sums": {"name": "lm_eval", "task": "sums", "limit": 200}},
    "objectives": ["sums"],
    "constraints": {"prose": {"max": 3.2}},
    "optimizer": {"name": "cma", "sigma": 0.2},
    "seed": 7,
    "lookahead": 1,
    "warm_start": [],
}

CONFIG = "run: runs/quickstart\nseed: 7\n"
ENVIRONMENT = {"evomerge": "0.1.0", "cpus": 2}


def a_trial(number: int, **fields: object) -> Trial:
    """An ordinary trial of a search."""
    weight = number / 7
    recipe = {
        "merge_method": "linear",
        "models": [{"model": "sums", "parameters": {"weight": weight}}],
    }
    ordinary = Trial(
        number,
        "search",
        recipe,
        point={"models[sums].parameters.weight": weight},
        scores={"sums": Score(number / 3, higher_is_better=True, items=3)},
        seconds={"ask": 0.01, "merge": 0.1},
    )
    return replace(ordinary, **fields)


def a_table(number: int, evaluator: str = "sums") -> ItemTable:
    """The items of an ordinary trial."""
    contributions = {0: 1.0, 1: float(number % 2), 5: 0.1 * number}
    return ItemTable(evaluator, "sums", "acc", "none", "mean", 1.0, contributions)


def header() -> Header:
    """The header of a run of two experts."""
    return Header.make(COVERS)


def create(run: Path) -> Study:
    """The study of a run that begins."""
    return Study.create(run, header(), config=CONFIG, environment=ENVIRONMENT)
