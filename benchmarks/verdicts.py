"""How often a verdict is right: runs without models, judged by the code that judges real ones.

    python benchmarks/verdicts.py [--runs 1000]

A model here is the list of its answers. All models of a family get most items right or wrong
together, as merges of the same parents do; on the others each is as lucky as the next. A "search"
picks the best of 30 candidates on 200 items, and the finalists are judged on a holdout. In the
first cases no candidate is better than a parent: every "gain" is false. In the others each is
truly better by .05.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.stats import beta

from evomerge.evidence import Evidence, choose_finalists, evidence_of, run_holdout
from evomerge.goals import Goals, read_goals
from evomerge.recipe import Recipe
from evomerge.trial import BASELINES, SEARCH, ItemTable, Result, Score, Trial

Answers = npt.NDArray[np.float64]

SEARCH_ITEMS = 200
CANDIDATES = 30
# By so much the base is worse than the parents. Were it as good, to beat it too would be harder,
# and a false gain rarer.
BEHIND = 0.1


@dataclass(frozen=True)
class Header:
    """What evidence reads of a study's header."""

    seed: int


@dataclass
class MemoryStudy:
    """A study without a folder."""

    header: Header
    goals: Goals
    config: Mapping[str, object] = field(default_factory=lambda: {"holdout": {}})
    trials: list[Trial] = field(default_factory=list)
    items: dict[int, tuple[ItemTable, ...]] = field(default_factory=dict)

    def find(self, number: int) -> Trial:
        """One trial."""
        return self.trials[number]

    def append(self, trial: Trial, tables: Sequence[ItemTable] = ()) -> None:
        """One more."""
        self.trials.append(trial)
        self.items[trial.number] = tuple(tables)

    def tables(self, number: int) -> tuple[ItemTable, ...]:
        """Its items."""
        return self.items[number]


@dataclass(frozen=True)
class Family:
    """Models that are merges of the same parents.

    Attributes:
        parents: how many there are, beside the base; all equally good.
        lead: by how much every candidate is better than all of them.
        differ: on what share of the items two models differ.
        items: of the holdout, for each task.
        tasks: how many tasks, each an objective of its own.
        kind: ``answers``, right or wrong, or ``text``, in bits per byte.
    """

    parents: int
    lead: float = 0.0
    differ: float = 0.15
    items: int = 500
    tasks: int = 1
    kind: str = "answers"

    def drawn(self, models: int, items: int, rng: np.random.Generator) -> Answers:
        """``(models, items)``; the last ones, all but base and parents, are better."""
        weak = 1 + self.parents
        if self.kind == "text":
            rates = rng.normal(-1.0, 0.3, items) + rng.normal(0, self.differ, (models, items))
            rates[0] -= BEHIND
            rates[weak:] += self.lead
            return rates
        common = rng.random(items) < 0.5
        # Each model departs from what all have in common by itself: two differ if one of them does.
        own = (1 - np.sqrt(1 - 2 * self.differ)) / 2
        answers = common ^ (rng.random((models, items)) < own)
        answers[0] &= rng.random(items) >= 2 * BEHIND
        if self.lead:
            # Of the last parent's wrong answers so many become right, of its right ones wrong.
            won, lost = self.differ + self.lead, self.differ - self.lead
            chance = rng.random((models - weak, items))
            answers[weak:] = np.where(answers[weak - 1], chance >= lost, chance < won)
        return answers.astype(np.float64)


def tables_of(family: Family, answers: Answers, sizes: npt.NDArray[np.int64]) -> list[ItemTable]:
    """``answers`` are ``(tasks, items)`` of one model."""
    tables = []
    for task, row in enumerate(answers):
        name, by_text = f"task{task}", family.kind == "text"
        contributions = {
            item: (float(each * sizes[item]), int(sizes[item])) if by_text else float(each)
            for item, each in enumerate(row)
        }
        aggregation = "bits_per_byte" if by_text else "mean"
        tables.append(ItemTable(name, name, "score", "none", aggregation, 1.0, contributions))
    return tables


def result_of(family: Family, answers: Answers, sizes: npt.NDArray[np.int64]) -> Result:
    """Scores and items of one model."""
    tables = tables_of(family, answers, sizes)
    scores = {}
    for table, row in zip(tables, answers, strict=True):
        value = float(row.mean())
        if family.kind == "text":
            value = -float((row * sizes).sum() / sizes.sum() / np.log(2))
        scores[table.evaluator] = Score(value, family.kind != "text", len(row))
    return Result(scores, tuple(tables))


def search(family: Family, seed: int, finalists: int, draws: int) -> Evidence:
    """One run: baselines, candidates, finalists, verdicts."""
    rng = np.random.default_rng(seed)
    models = 1 + family.parents + CANDIDATES
    answers, sizes = {}, {}
    for part, items in (("search", SEARCH_ITEMS), ("holdout", family.items)):
        drawn = [family.drawn(models, items, rng) for _ in range(family.tasks)]
        answers[part] = np.stack(drawn, axis=1)
        sizes[part] = rng.integers(200, 2000, items)
    labels = ["base", *(f"parent {number}" for number in range(family.parents))]
    study = MemoryStudy(Header(seed), read_goals([f"task{t}" for t in range(family.tasks)]))
    for number in range(models):
        recipe = {"merge_method": "passthrough", "models": [{"model": f"model{number}"}]}
        result = result_of(family, answers["search"][number], sizes["search"])
        stage = BASELINES if number < len(labels) else SEARCH
        label = labels[number] if number < len(labels) else ""
        study.append(Trial(number, stage, recipe, label, scores=result.scores))

    def score(recipe: Recipe) -> Result:
        number = int(str(recipe.models[0].model.written()).removeprefix("model"))
        return result_of(family, answers["holdout"][number], sizes["holdout"])

    chosen = choose_finalists(study, finalists)
    run_holdout(study, [trial.number for trial in chosen], score)
    return evidence_of(study, draws)


@dataclass(frozen=True)
class Case:
    """A kind of run, and what is counted of it."""

    name: str
    family: Family
    finalists: int
    draws: int = 1000


NULL = (
    Case("1 equal parent, 1 finalist", Family(1), 1),
    Case("1 equal parent, 5 finalists", Family(1), 5),
    Case("4 equal parents, 1 finalist", Family(4), 1),
    Case("4 equal parents, 5 finalists", Family(4), 5),
    Case("1 equal parent, 5 finalists, 100 items, 30 % discordant", Family(1, 0, 0.3, 100), 5),
    Case("1 equal parent, 5 finalists of a front of 2 × 250 items", Family(1, 0, 0.15, 250, 2), 5),
    Case("1 equal parent, 5 finalists, 60 documents", Family(1, items=60, kind="text"), 5),
)
BETTER = (
    Case("+.05, 8 % discordant", Family(1, 0.05, 0.08), 1),
    Case("+.05, 15 % discordant", Family(1, 0.05, 0.15), 1),
    Case("+.05, 20 % discordant", Family(1, 0.05, 0.20), 1),
    Case("+.05, 30 % discordant", Family(1, 0.05, 0.30), 1),
    Case("+.05, 15 % discordant, over 4 equal parents", Family(4, 0.05, 0.15), 1),
    Case("+.05, 15 % discordant, 5 finalists", Family(1, 0.05, 0.15), 5),
)


def runs_with_gain(case: Case, runs: int) -> int:
    """In how many of so many runs any finalist is said to have a gain."""
    found = (search(case.family, seed, case.finalists, case.draws) for seed in range(runs))
    return sum(evidence.winner is not None for evidence in found)


def limits(found: int, runs: int) -> tuple[float, float]:
    """The exact 95 % interval of a share, by Clopper and Pearson."""
    low = beta.ppf(0.025, found, runs - found + 1) if found else 0.0
    high = beta.ppf(0.975, found + 1, runs - found) if found < runs else 1.0
    return float(low), float(high)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description="How often a verdict is right.")
    parser.add_argument("--runs", type=int, default=1000)
    runs = parser.parse_args().runs
    print("| runs in which a gain is claimed | share | 95 % interval |\n|---|---|---|")
    for case in (*NULL, *BETTER):
        found = runs_with_gain(case, runs)
        low, high = limits(found, runs)
        print(f"| {case.name} | {found / runs:.3f} | {low:.3f} to {high:.3f} |", flush=True)


if __name__ == "__main__":
    main()
