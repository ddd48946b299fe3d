"""Runs without models: trials that are known by their answers, in a real study."""

from __future__ import annotations

import numpy as np

from evomerge.evidence import evidence_of, run_holdout
from evomerge.study import Header, Study
from evomerge.trial import BASELINES, SEARCH, ItemTable, Result, Score, Trial

ITEMS = 200
DRAWS = 500


def begin(folder, *, objectives="sums", constraints=None, holdout=True):
    """An empty study."""
    covers = {"objectives": objectives, "constraints": constraints, "seed": 7, "lookahead": 1}
    config = "holdout: {sums: {name: lm_eval}}\n" if holdout else "run: x\n"
    return Study.create(folder / "run", Header.make(covers), config=config, environment={})


def result(answers, *, tasks=None, **fields):
    """Scores and items of a model that answered so: by evaluator, what each item counts."""
    settings = {"aggregation": "mean", "higher": True, "clusters": {}, **fields}
    scores, tables = {}, []
    for name, items in answers.items():
        scores[name] = Score(float(np.mean(items)), settings["higher"], len(items))
        contributions = {item: float(each) for item, each in enumerate(items)}
        tables.append(
            ItemTable(
                name,
                (tasks or {}).get(name, name),
                "acc",
                "none",
                settings["aggregation"],
                1.0,
                contributions,
                settings["clusters"],
            )
        )
    return Result(scores, tuple(tables))


def recipe(number):
    """A recipe by which a trial can be told."""
    return {"merge_method": "passthrough", "models": [{"model": f"model{number}"}]}


def number_of(tree):
    """The trial whose recipe this is."""
    return int(str(tree.models[0].model.written()).removeprefix("model"))


def add(study, answers, stage=SEARCH, **fields):
    """Appends a trial with these answers to the items of the search."""
    found = answers if isinstance(answers, Result) else result(answers)
    number = len(study.trials)
    trial = Trial(number, stage, recipe(number), scores=found.scores, **fields)
    study.append(trial, found.tables)
    return trial


def add_family(study, search=0.5, parents=("words",)):
    """A base and parents, all with the same score on the search."""
    for label in ("base", *(f"parent {name}" for name in parents)):
        add(study, {"sums": some(search)}, BASELINES, label=label)


def some(share, items=ITEMS):
    """As many right answers as that share of the items."""
    return [1.0] * round(share * items) + [0.0] * (items - round(share * items))


def judged(study, numbers, answers, **fields):
    """The evidence after a holdout on which trials answer so, by number."""
    run_holdout(study, numbers, lambda tree: result(answers[number_of(tree)], **fields))
    return evidence_of(study, DRAWS)
