"""Run folders of searches that never ran: real studies, made-up numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import yaml

from evomerge.study import Header, Study
from evomerge.trial import BASELINES, HOLDOUT, SEARCH, Failure, ItemTable, Score, Trial

ITEMS = 200
Answers = Mapping[str, np.ndarray]  # by evaluator: 0 or 1 for each item


def ties(base: str, *experts: str, weight: float = 1.0, **parameters) -> dict[str, object]:
    """The tree of a recipe."""
    models = [{"model": each, "parameters": {"weight": weight}} for each in experts]
    tree = {"models": models, "merge_method": "ties", "base_model": base, "dtype": "float32"}
    return {**tree, "parameters": parameters} if parameters else tree


def tables(answers: Answers) -> list[ItemTable]:
    """The items behind accuracies."""
    return [
        ItemTable(name, f"{name}_task", "acc", "none", "mean", 1.0, dict(enumerate(map(int, row))))
        for name, row in answers.items()
    ]


def accuracies(answers: Answers) -> dict[str, Score]:
    """The scores that those items add up to."""
    return {name: Score(float(row.mean()), True, len(row)) for name, row in answers.items()}


class Book:
    """A study in the making."""

    def __init__(self, run: Path, *, models: Sequence[str] = ("base", "sums", "words"), **more):
        """``more`` are keys of the config."""
        config = {
            "run": str(run),
            "evaluators": {"sums": {"name": "lm_eval"}, "words": {"name": "lm_eval"}},
            "budget": {"trials": 40},
            **more,
        }
        covers = {
            "recipe": {"merge_method": "ties"},
            "models": {Path(name).name: {"reference": name} for name in models},
            "evaluators": config["evaluators"],
            "objectives": more.get("objectives", {"sums": 1.0, "words": 1.0}),
            "constraints": more.get("constraints"),
            "optimizer": {"name": "cma"},
            "seed": 7,
            "lookahead": 1,
            "warm_start": [],
        }
        self.base, *self.experts = models
        header = Header.make(covers)
        text = yaml.safe_dump(config)
        self.study = Study.create(run, header, config=text, environment={"python": "3.11"})
        self._rng = np.random.default_rng(0)

    def answers(self, sums: float, words: float, items: int = ITEMS) -> Answers:
        """Answers of which about these shares are right; the better hold the worse."""
        luck = np.random.default_rng(5).random((2, items))
        return {"sums": luck[0] < sums, "words": luck[1] < words}

    def add(self, stage: str = SEARCH, answers: Answers | None = None, **more) -> Trial:
        """One more trial."""
        number = len(self.study.trials)
        scores = {} if answers is None else accuracies(answers)
        seconds = {"ask": 0.01, "merge": 0.5, "forward": 1.0, "evaluate": 0.02}
        given = {"recipe": ties(self.base, *self.experts), "scores": scores, "seconds": seconds}
        trial = Trial(number, stage, **{**given, **more})
        self.study.append(trial, [] if answers is None else tables(answers))
        return trial

    def search(self, count: int) -> None:
        """Trials that come the nearer to the best, the nearer ``weight`` is to 1."""
        for _ in range(count):
            weight, density = (round(float(each), 3) for each in self._rng.random(2))
            near = 1 - abs(weight - 1)
            self.add(
                answers=self.answers(0.4 + 0.3 * near, 0.4 + 0.2 * near),
                point={"weight": weight, "density": density},
                recipe=ties(self.base, *self.experts, weight=weight, density=density),
            )


def finished(run: Path, *, gain: bool = True, trials: int = 40, **more) -> Study:
    """A search with baselines, a failure, and a best trial that was scored on a holdout."""
    book = Book(run, holdout={"sums": {}, "words": {}}, **more)
    levels = {"base": (0.4, 0.4), "parent sums": (0.5, 0.42), "parent words": (0.42, 0.5)}
    for label, level in levels.items():
        book.add(BASELINES, book.answers(*level), label=label)
    book.search(trials - 1)
    book.add(failure=Failure("error", "trial.py: no luck"))
    held = {**levels, "best": (0.8, 0.7) if gain else (0.51, 0.43)}
    for number, label in enumerate(levels):
        book.add(HOLDOUT, book.answers(*held[label], 300), label=label, subject=number)
    best = max(
        book.study.stage(SEARCH), key=lambda t: sum(score.value for score in t.scores.values())
    )
    book.add(HOLDOUT, book.answers(*held["best"], 300), subject=best.number, recipe=best.recipe)
    return book.study
