"""Which optimizer finds the better stack of layers? On the zoo, held out, and beside chance.

    python benchmarks/stacks.py [--seeds 10] [--trials 60] [--items 100] [--cases ga-edits …]
                                [--zoo demo/zoo] [--folder .bench/stacks] [--jobs 1]

Each run is the search of ``search_spaces/frankenmerge.yaml`` under a seed and an optimizer of its
own, with its stack written down in one of the encodings: layers of the base and three experts, at
scales. The objective is the mean log-likelihood of the right answers of three skills, on the first
``--items`` of each, for which accuracy is too coarse. All begin at the same warm starts: each
model's layers between the ends of the base, and the base scaled up in depth.

What counts is the stack that the search itself calls the best, which may be one of these: its mean
log-likelihood, and its mean accuracy, on the 1000 held-out items of each skill. Intervals are
Student's, over seeds, in pairs for differences: they speak of other seeds on this zoo and these
items, not of other models.

A trial takes about 0.2 s of one core. Runs are kept in ``--folder``: what is there is read, and
what was stopped goes on. What a proposal costs on deep models is measured by ``stack_costs.py``.
Writes a table in Markdown on standard output.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from statistics import fmean
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
sys.path.insert(0, str(Path(__file__).parent))

import yaml
from zoo_search import interval

import evomerge
from evomerge.cli.running import hush_libraries
from evomerge.config.preparing import prepare
from evomerge.config.reading import config_of
from evomerge.evidence.contenders import best
from evomerge.evidence.gain import gauge_of, worth
from evomerge.evidence.ledger import baselines
from evomerge.objective import Objective
from evomerge.recipe import Recipe
from evomerge.rehearsal import models_of
from evomerge.trial import SEARCH
from evomerge.workbench import Workbench
from evomerge.zoo import build

ROOT = Path(__file__).parent.parent
SPACE = ROOT / "search_spaces" / "frankenmerge.yaml"
SKILLS = ("reverse", "upper", "sums")
Settings = dict[str, object]
GA: Settings = {"name": "ga"}
CASES: dict[str, tuple[str, Settings]] = {
    "random-edits": ("edits", {"name": "optuna", "sampler": "random"}),
    "ga-edits": ("edits", GA),
    "catcma-indicator": ("indicator", {"name": "catcma"}),
    "tpe-path": ("path", {"name": "optuna", "sampler": "tpe"}),
    "ga-indicator": ("indicator", GA),
    "ga-path": ("path", GA),
}
CONTROL = "random-edits"
# Keys of the stack in the search space that only edits have.
OF_EDITS = ("edits", "block")


@dataclass(frozen=True)
class Case:
    """One search."""

    name: str
    seed: int
    trials: int
    items: int
    zoo: Path
    folder: Path

    @property
    def run(self) -> Path:
        """Its run folder."""
        return self.folder / f"{self.name}-{self.trials}-{self.items}-{self.seed}"

    @property
    def config(self) -> dict[str, Any]:
        """The search space's, with what this case has of its own; without a holdout."""
        encoding, optimizer = CASES[self.name]
        tree = plain(self.zoo)
        stack = tree["recipe"]["slices"]["stack"]
        if encoding != "edits":
            stack = {key: value for key, value in stack.items() if key not in OF_EDITS}
        tree["recipe"]["slices"]["stack"] = {**stack, "encoding": encoding}
        for each in tree["evaluators"].values():
            each.update(metric="log_likelihood", limit=self.items)
        return tree | {
            "seed": self.seed,
            "optimizer": optimizer,
            "budget": {"trials": self.trials},
            "simplify": False,
        }


@dataclass(frozen=True)
class Found:
    """What a search found.

    Attributes:
        number: of the best trial.
        layers: of its stack.
        seen: its mean log-likelihood on the items of the search.
        likelihood: on the holdout.
        accuracy: on the holdout.
        start: the mean log-likelihood on the holdout of the best warm start, as the search saw it.
        ask: seconds a proposal took, on average.
    """

    number: int
    layers: int
    seen: float
    likelihood: float
    accuracy: float
    start: float
    ask: float


def plain(zoo: Path) -> dict[str, Any]:
    """The config of the search space on a zoo, without a holdout."""
    tree = yaml.safe_load(SPACE.read_text("utf-8"))
    del tree["holdout"]
    models = {alias: str(zoo / Path(path).name) for alias, path in tree["models"].items()}
    return tree | {"folder": str(SPACE.parent), "models": models}


def searched(case: Case) -> Found:
    """Runs a search, or what is left of it, and reads what it found; that is kept too."""
    kept = case.run.with_suffix(".json")
    if kept.exists():
        return Found(**json.loads(kept.read_text("utf-8")))
    hush_libraries()
    if case.run.exists():
        study = evomerge.resume(case.run)
    else:
        study = evomerge.search(case.config, run=case.run)
    goals, gauge = study.goals, gauge_of(study.goals, baselines(study))
    stacks = [each for each in study.trials if each.point is not None]
    winner = best(stacks, goals, gauge)
    start = best([each for each in stacks if each.stage != SEARCH], goals, gauge)
    asks = [each.seconds["ask"] for each in stacks if each.stage == SEARCH]
    held, before = (held_out(case.zoo, json.dumps(each.recipe)) for each in (winner, start))
    layers = sum(
        each["layer_range"][1] - each["layer_range"][0]
        for part in winner.recipe["slices"]
        for each in part["sources"]
    )
    seen = worth(goals, gauge, winner.scores)
    found = Found(winner.number, layers, seen, *held, before[0], fmean(asks))
    kept.write_text(json.dumps(asdict(found)), "utf-8")
    return found


@cache
def held_out(zoo: Path, recipe: str) -> tuple[float, float]:
    """Mean log-likelihood and mean accuracy of a recipe, in JSON, on the holdout."""
    scores = judge(zoo)(Recipe.from_tree(json.loads(recipe))).scores
    likelihood, accuracy = (
        fmean(scores[f"{skill}.{metric}"].value for skill in SKILLS)
        for metric in ("log_likelihood", "acc")
    )
    return likelihood, accuracy


@cache
def judge(zoo: Path) -> Objective:
    """What scores on the holdout."""
    tree = plain(zoo)
    tree["evaluators"] = yaml.safe_load(SPACE.read_text("utf-8"))["holdout"]
    prepared = prepare(config_of(tree))
    return Objective(Workbench(models_of(prepared), prepared.bench), prepared.evaluators)


def show(results: Mapping[Case, Found], names: Sequence[str]) -> None:
    """Prints a row for each case: what it found, and what it is ahead of chance by."""
    print(
        "| optimizer and encoding | runs | in the search | held out | over its best start, 95 % ",
        end="",
    )
    print("| better than random by, 95 % | accuracy | better than random by, 95 % ", end="")
    print("| layers | a proposal, s |\n|---|---|---|---|---|---|---|---|---|---|")
    chance = {case.seed: one for case, one in results.items() if case.name == CONTROL}
    for name in names:
        runs = {case.seed: one for case, one in results.items() if case.name == name}
        pairs = [(one, chance[seed]) for seed, one in runs.items() if seed in chance]
        pairs = pairs if name != CONTROL else []
        ahead = (
            interval([one.likelihood - other.likelihood for one, other in pairs]) if pairs else ""
        )
        right = interval([one.accuracy - other.accuracy for one, other in pairs]) if pairs else ""
        every = list(runs.values())
        print(
            f"| {name} | {len(runs)} | {fmean(one.seen for one in every):.3f} "
            f"| {fmean(one.likelihood for one in every):.3f} "
            f"| {interval([one.likelihood - one.start for one in every])} | {ahead} "
            f"| {fmean(one.accuracy for one in every):.3f} | {right} "
            f"| {fmean(one.layers for one in every):.1f} | {fmean(one.ask for one in every):.4f} |"
        )


def main() -> None:
    """Searches, and prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=10, help="how many, from 0")
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--items", type=int, default=100, help="of each skill, in the search")
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=CASES, metavar="NAME")
    parser.add_argument("--zoo", type=Path, default=ROOT / "demo" / "zoo")
    parser.add_argument("--folder", type=Path, default=ROOT / ".bench" / "stacks")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    options = parser.parse_args()
    zoo, folder = options.zoo.absolute(), options.folder.absolute()
    build(zoo)
    folder.mkdir(parents=True, exist_ok=True)
    cases = [
        Case(name, seed, options.trials, options.items, zoo, folder)
        for seed in range(options.seeds)
        for name in options.cases
    ]
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool:
        results = dict(zip(cases, pool.map(searched, cases), strict=True))
    show(results, options.cases)


if __name__ == "__main__":
    main()
