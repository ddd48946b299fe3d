"""Which optimizer finds the better merge? Landscapes like those of merging, scored through noise.

    python benchmarks/optimizers.py [--seeds 10] [--only cma tpe] [--landscapes 0 3] [--costs]

Loss over a landscape: weights of experts by group of layers, best when small and unequal, with
interference between the experts of a group; the models alone and their mean are far from it. A
trial is seen through noise, as on a few hundred items. What counts is the regret that was not
seen: the true loss of the candidate that looked best, or the true hypervolume of the front that
looked best, beside random search from the same warm starts (base, parents, uniform soup). With
``--costs``: seconds of processor time an ask, and to replay 2,000 trials; memory.

Wants half an hour on one core; ``gp`` has a budget of 100 trials and small spaces only.
"""

from __future__ import annotations

import argparse
import os
import tracemalloc
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from time import process_time

os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

import numpy as np
import numpy.typing as npt

from evomerge.front import front, hypervolume
from evomerge.goals import Outcome
from evomerge.optimizers.base import Optimizer, Setup, make_optimizer
from evomerge.space import ChoiceDimension, Dimension, FloatDimension, Space
from evomerge.trial import Point

Vector = npt.NDArray[np.float64]
Settings = dict[str, object]

OPTIMIZERS: dict[str, Settings] = {
    "random": {"name": "optuna", "sampler": "random"},
    "qmc": {"name": "optuna", "sampler": "qmc"},
    "cma": {"name": "cma"},
    "catcma": {"name": "catcma"},
    "ga": {"name": "ga"},
    "tpe": {"name": "optuna", "sampler": "tpe"},
    "gp": {"name": "optuna", "sampler": "gp"},
    "nsga2": {"name": "optuna", "sampler": "nsga2"},
    "nsga3": {"name": "optuna", "sampler": "nsga3"},
}
EXPERTS = 3
HIGHEST_WEIGHT = 1.5
# The standard error of a mean over a few hundred items, paired.
NOISE = 0.01
# A base has this loss; what merging can win of it, by landscape, lies below.
BASE_LOSS, BEST_LOSS = 0.5, 0.3
OPTIONS = ("a", "b", "c")
GP_TRIALS = 100
REPLAYED = 2_000


@dataclass(frozen=True)
class Landscape:
    """A family of problems, one for each seed.

    Attributes:
        name: in the table.
        groups: of layers; each has a weight for every expert.
        choices: how many of the weights have a method to be chosen as well.
        objectives: how many losses.
        gp: whether it is small enough for a Gaussian process.
    """

    name: str
    groups: int
    choices: int = 0
    objectives: int = 1
    gp: bool = False

    @property
    def weights(self) -> int:
        """How many floats."""
        return self.groups * EXPERTS

    @property
    def space(self) -> Space:
        """Its dimensions: floats, then choices."""
        floats: list[Dimension] = [
            FloatDimension(f"weight{i}", 0.0, HIGHEST_WEIGHT) for i in range(self.weights)
        ]
        return Space((*floats, *(ChoiceDimension(f"m{i}", OPTIONS) for i in range(self.choices))))


LANDSCAPES = (
    Landscape("12 continuous", 4, gp=True),
    Landscape("63 continuous", 21),
    Landscape("63 continuous, 63 choices", 21, choices=63),
    Landscape("15 continuous, 2 objectives", 5, objectives=2, gp=True),
)


class Problem:
    """One landscape of a family."""

    def __init__(self, landscape: Landscape, seed: int) -> None:
        draw = np.random.default_rng([seed, landscape.weights, landscape.choices])
        self.landscape, self.space = landscape, landscape.space
        shape = (landscape.objectives, landscape.weights)
        # Some experts are of no use in some groups; the others want a small share.
        self.best = np.clip(draw.normal(0.25, 0.2, shape), 0.0, 0.8)
        self.curvature = np.exp(draw.normal(0.0, 1.0, shape))
        self.interference = draw.uniform(0.0, 0.8, (landscape.objectives, landscape.groups))
        # A method of another kind shifts the best weight and costs something.
        self.shift = draw.normal(0.0, 0.15, (landscape.choices, len(OPTIONS)))
        self.price = draw.exponential(0.02, (landscape.choices, len(OPTIONS)))
        good = draw.integers(0, len(OPTIONS), landscape.choices)
        self.shift[np.arange(landscape.choices), good] = 0.0
        self.price[np.arange(landscape.choices), good] = 0.0
        self.scale = np.ones(landscape.objectives)
        base = self.energies({**self.space.middle(), **self.weighing(np.zeros(EXPERTS))}, good)
        # Scaled so that the base has the loss it should have.
        self.scale = -np.log((1 - BASE_LOSS) / (1 - BEST_LOSS)) / base

    def energies(self, point: Point, options: npt.NDArray[np.int64] | None = None) -> Vector:
        """How far from the best, for each objective: a quadratic form."""
        weights = np.array([float(point[f"weight{i}"]) for i in range(self.landscape.weights)])
        if options is None:
            labels = [OPTIONS.index(str(point[f"m{i}"])) for i in range(self.landscape.choices)]
            options = np.array(labels, dtype=np.int64)
        rows = np.arange(self.landscape.choices)
        target = self.best.copy()
        target[:, : len(rows)] += self.shift[rows, options]
        away = weights - target
        alone = (self.curvature * away**2).sum(axis=1)
        groups = (np.sqrt(self.curvature) * away).reshape(
            len(alone), self.landscape.groups, EXPERTS
        )
        together = (self.interference * groups.sum(axis=2) ** 2).sum(axis=1)
        return self.scale * (alone + together + self.price[rows, options].sum())

    def losses(self, point: Point) -> Vector:
        """The truth: ``(objectives,)``, from ``BEST_LOSS`` to 1."""
        return 1 - (1 - BEST_LOSS) * np.exp(-self.energies(point))

    def weighing(self, shares: Sequence[float] | Vector) -> Point:
        """The floats of a merge with one weight for each expert."""
        return {f"weight{i}": float(shares[i % EXPERTS]) for i in range(self.landscape.weights)}

    def warm_starts(self) -> list[Point]:
        """The base, each parent, and the uniform soup, with the first method throughout."""
        shares = [np.zeros(EXPERTS), *np.eye(EXPERTS), np.full(EXPERTS, round(1 / EXPERTS, 6))]
        plain = {f"m{i}": OPTIONS[0] for i in range(self.landscape.choices)}
        return [{**self.weighing(each), **plain} for each in shares]


def regrets(problem: Problem, settings: Settings, seed: int, lengths: Sequence[int]) -> Vector:
    """What is left to be won after searches of these lengths, of what each would choose.

    One run gives all: an optimizer does not know its budget.
    """
    noise = np.random.default_rng([seed, 1])
    objectives = problem.landscape.objectives
    optimizer = make_optimizer(settings, Setup(problem.space, seed, objectives))
    truth, seen = [], []

    def score(point: Point) -> Outcome:
        truth.append(problem.losses(point))
        seen.append(truth[-1] + NOISE * noise.normal(size=objectives))
        return Outcome(tuple(seen[-1].tolist()))

    warm = problem.warm_starts()
    for point in warm:
        optimizer.warm(point, score(point))
    for number in range(max(lengths)):
        point = optimizer.ask(number)
        optimizer.tell(number, point, score(point))
    ends = [len(warm) + length for length in lengths]
    return np.array([left(np.array(truth[:end]), np.array(seen[:end])) for end in ends])


def left(truth: Vector, seen: Vector) -> float:
    """The true loss of what looked best, or the volume its front leaves open, over the best."""
    objectives = truth.shape[1]
    if objectives == 1:
        return float(truth[int(np.argmin(seen))][0]) - BEST_LOSS
    corner = BASE_LOSS + 0.1
    volume = hypervolume(truth[front(seen)], [corner] * objectives)
    return (corner - BEST_LOSS) ** objectives - volume


def interval(differences: Vector, draws: int = 10_000) -> tuple[float, float]:
    """The middle 95 % of bootstrapped means."""
    generator = np.random.default_rng(0)
    means = generator.choice(differences, (draws, len(differences))).mean(axis=1)
    return float(np.quantile(means, 0.025)), float(np.quantile(means, 0.975))


def compare(landscape: Landscape, names: Sequence[str], seeds: int, trials: int) -> None:
    """Prints rows for each optimizer that can search the landscape."""
    problems = [Problem(landscape, seed) for seed in range(seeds)]
    lengths = sorted({min(trials, GP_TRIALS), trials})

    def of(name: str, some: Sequence[int]) -> Vector:
        pairs = enumerate(problems)
        return np.array([regrets(each, OPTIMIZERS[name], seed, some) for seed, each in pairs])

    chance = of("random", lengths)
    for name in names:
        if not able(landscape, name):
            continue
        some = lengths[:1] if name == "gp" else lengths
        found = chance if name == "random" else of(name, some)
        for column, length in enumerate(some):
            gains = chance[:, column] - found[:, column]
            low, high = interval(gains)
            print(
                f"| {landscape.name} | {length} | {name} | {found[:, column].mean():.4f} | "
                f"{gains.mean():+.4f} [{low:+.4f}, {high:+.4f}] |",
                flush=True,
            )


def able(landscape: Landscape, name: str) -> bool:
    """Whether an optimizer can search it, in a time one would wait."""
    if name == "gp":
        return landscape.gp
    return not (name == "cma" and landscape.choices) and not (
        name == "catcma" and landscape.objectives > 1
    )


def costs(name: str) -> None:
    """Prints seconds an ask after 100, 300 and 1000 trials, seconds of a replay, and memory."""
    problem = Problem(LANDSCAPES[0] if name == "gp" else LANDSCAPES[1], 0)
    asks = [ask_seconds(problem, name, told) for told in (100, 300, 1000)]
    began = process_time()
    replay(problem, name, REPLAYED)
    seconds = process_time() - began
    tracemalloc.start()
    kept = replay(problem, name, REPLAYED)
    held = tracemalloc.get_traced_memory()[0] / 2**20
    tracemalloc.stop()
    del kept
    cells = " | ".join(f"{each:.4f}" for each in asks)
    print(f"| {name} | {len(problem.space)} | {cells} | {seconds:.1f} | {held:.0f} |", flush=True)


def ask_seconds(problem: Problem, name: str, told: int) -> float:
    """The median of some asks, each followed by its tell."""
    optimizer = replay(problem, name, told)
    seconds = []
    for number in range(told, told + (3 if name == "gp" else 25)):
        began = process_time()
        point = optimizer.ask(number)
        seconds.append(process_time() - began)
        optimizer.tell(number, point, Outcome(tuple(problem.losses(point))))
    return median(seconds)


def replay(problem: Problem, name: str, trials: int) -> Optimizer:
    """An optimizer brought to where it was after ``trials`` recorded trials."""
    draw = np.random.default_rng(0)
    optimizer = make_optimizer(OPTIMIZERS[name], Setup(problem.space, 0))
    for number in range(trials):
        point = problem.space.decode(draw.random(len(problem.space)))
        asked = optimizer.recall(number, point)
        optimizer.tell(number, asked or point, Outcome(tuple(problem.losses(asked or point))))
    return optimizer


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--trials", type=int, default=300)
    parser.add_argument("--only", nargs="+", default=list(OPTIMIZERS), choices=OPTIMIZERS)
    parser.add_argument("--landscapes", nargs="+", type=int, default=list(range(len(LANDSCAPES))))
    parser.add_argument("--costs", action="store_true")
    options = parser.parse_args()
    if options.costs:
        print(
            "| optimizer | dimensions | ask at 100, s | at 300 | at 1000 | replay 2,000, s | MB |"
        )
        print("|---|---|---|---|---|---|---|")
        for name in options.only:
            costs(name)
        return
    print("| landscape | trials | optimizer | regret | better than random by, 95 % |")
    print("|---|---|---|---|---|")
    for number in options.landscapes:
        compare(LANDSCAPES[number], options.only, options.seeds, options.trials)


if __name__ == "__main__":
    main()
