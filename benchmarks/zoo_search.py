"""Does a search find something on the zoo? The quickstart, with several seeds, and beside chance.

    python benchmarks/zoo_search.py [--first 0] [--seeds 5] [--trials 120] [--jobs 1]
                                    [--optimizers auto random] [--zoo demo/zoo]
                                    [--folder .bench/zoo_search]

Each run is what ``evomerge search search_spaces/quickstart.yaml`` does, under a seed of its own and
with the optimizer in question: the same baselines, of which the optimizer is told those that the
template can express, then the trials, then the holdout. What counts is the held-out mean accuracy
of the trial that the search itself calls the best, over that of the best baseline: of the base, the
parents, the merges with default settings and the corners of the space the one that turns out best
*on the holdout*, which no user could know. What tuning by hand comes to, see ``zoo.py``.

Intervals are Student's, over seeds, in pairs where two optimizers are compared: they speak of other
seeds of the search on this zoo and these items, not of other models.

A trial takes about a second of one thread, a run some minutes. Runs are kept in ``--folder``, each
under its optimizer, trials and seed: what is there is read, and what was stopped goes on. The first
run builds the zoo, unless it stands. Writes tables in Markdown on standard output.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")

import numpy as np
import yaml
from scipy.stats import t as student

import evomerge
from evomerge.cli.running import hush_libraries
from evomerge.evidence.contenders import best_of
from evomerge.evidence.gain import gauge_of, worth
from evomerge.evidence.ledger import baselines, holdout_lines
from evomerge.evidence.summary import evidence_of
from evomerge.study import Study
from evomerge.zoo import build

ROOT = Path(__file__).parent.parent
QUICKSTART = ROOT / "search_spaces" / "quickstart.yaml"
OPTIMIZERS: dict[str, object] = {
    "auto": "auto",
    "random": {"name": "optuna", "sampler": "random"},
    "cma": {"name": "cma"},
    "tpe": {"name": "optuna", "sampler": "tpe"},
    "gp": {"name": "optuna", "sampler": "gp"},
}
CONTROL = "random"


@dataclass(frozen=True)
class Case:
    """One search."""

    optimizer: str
    seed: int
    trials: int
    zoo: Path
    folder: Path

    @property
    def run(self) -> Path:
        """Its run folder."""
        return self.folder / f"{self.optimizer}-{self.trials}-{self.seed}"

    @property
    def config(self) -> Mapping[str, Any]:
        """The quickstart's, with the zoo, the seed and the optimizer of this case."""
        tree = yaml.safe_load(QUICKSTART.read_text("utf-8"))
        models = {alias: str(self.zoo / Path(path).name) for alias, path in tree["models"].items()}
        return tree | {
            "folder": str(QUICKSTART.parent),
            "models": models,
            "seed": self.seed,
            "optimizer": OPTIMIZERS[self.optimizer],
            "budget": {"trials": self.trials},
        }


@dataclass(frozen=True)
class Found:
    """What a search found, in held-out mean accuracy.

    Attributes:
        best: of the best trial.
        seen: of the same trial on the items of the search.
        baseline: of the best baseline.
        label: what that is.
        number: of the best trial.
        gain: whether the verdict on any finalist is "gain".
        seconds: of all trials, by what took them.
    """

    best: float
    seen: float
    baseline: float
    label: str
    number: int
    gain: bool
    seconds: Mapping[str, float]


def searched(case: Case) -> Found:
    """Runs a search, or what is left of it, and reads what it found."""
    hush_libraries()
    if case.run.exists():
        study = evomerge.resume(case.run)
    else:
        study = evomerge.search(case.config, run=case.run)
    return found(study)


def found(study: Study) -> Found:
    """What a finished run found."""
    goals, best = study.goals, best_of(study)
    first, lines = baselines(study), holdout_lines(study)
    gauge = gauge_of(goals, first)
    held_out = {trial.number: worth(goals, gauge, lines[trial.number].scores) for trial in first}
    rival = max(first, key=lambda trial: held_out[trial.number])
    seconds: dict[str, float] = {}
    for trial in study.trials:
        for phase, spent in trial.seconds.items():
            seconds[phase] = seconds.get(phase, 0.0) + spent
    return Found(
        worth(goals, gauge, lines[best.number].scores),
        worth(goals, gauge, best.scores),
        held_out[rival.number],
        rival.label,
        best.number,
        evidence_of(study).winner is not None,
        seconds,
    )


def interval(values: Sequence[float]) -> str:
    """The mean, and where it lies by Student's t with 95 % confidence."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return f"{mean:+.3f}"
    half = student.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
    return f"{mean:+.3f} [{mean - half:+.3f}, {mean + half:+.3f}]"


def show_runs(results: Mapping[Case, Found]) -> None:
    """Prints a row for each run."""
    print(
        "| optimizer | seed | best trial | its score in the search | held out | best baseline ",
        end="",
    )
    print("| gain | verdict | minutes |\n|---|---|---|---|---|---|---|---|---|")
    for case, one in results.items():
        minutes = sum(one.seconds.values()) / 60
        print(
            f"| {case.optimizer} | {case.seed} | {one.number} | {one.seen:.3f} | {one.best:.3f} "
            f"| {one.baseline:.3f} ({one.label}) | {one.best - one.baseline:+.3f} "
            f"| {'gain' if one.gain else 'no gain'} | {minutes:.1f} |"
        )


def show_optimizers(results: Mapping[Case, Found], names: Sequence[str]) -> None:
    """Prints a row for each optimizer: its gains, and what it gains over chance."""
    print("\n| optimizer | runs | held out | over the best baseline, 95 % ", end="")
    print('| better than random by, 95 % | "gain" is said |\n|---|---|---|---|---|---|')
    chance = {case.seed: one.best for case, one in results.items() if case.optimizer == CONTROL}
    for name in names:
        runs = {case.seed: one for case, one in results.items() if case.optimizer == name}
        better = [one.best - chance[seed] for seed, one in runs.items() if seed in chance]
        print(
            f"| {name} | {len(runs)} | {np.mean([one.best for one in runs.values()]):.3f} "
            f"| {interval([one.best - one.baseline for one in runs.values()])} "
            f"| {interval(better) if better and name != CONTROL else ''} "
            f"| {sum(one.gain for one in runs.values())} of {len(runs)} |"
        )


def main() -> None:
    """Searches, and prints the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=5, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--trials", type=int, default=120)
    parser.add_argument(
        "--optimizers", nargs="+", default=["auto", CONTROL], choices=OPTIMIZERS, metavar="NAME"
    )
    parser.add_argument("--zoo", type=Path, default=ROOT / "demo" / "zoo")
    parser.add_argument("--folder", type=Path, default=ROOT / ".bench" / "zoo_search")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    options = parser.parse_args()
    zoo, folder = options.zoo.absolute(), options.folder.absolute()
    build(zoo)
    folder.mkdir(parents=True, exist_ok=True)
    cases = [
        Case(name, seed, options.trials, zoo, folder)
        for seed in range(options.first, options.first + options.seeds)
        for name in options.optimizers
    ]
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool:
        results = dict(zip(cases, pool.map(searched, cases), strict=True))
    show_runs(results)
    show_optimizers(results, options.optimizers)


if __name__ == "__main__":
    main()
