"""Every optimizer there is, and the loop that asks and tells it as a search does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from evomerge.goals import Outcome
from evomerge.optimizers.base import Exhausted, Optimizer, Setup, make_optimizer, optimizers
from evomerge.optimizers.optuna import GENETIC, SAMPLERS
from evomerge.space import ChoiceDimension, FloatDimension, IntDimension, Space
from evomerge.trial import Point

Settings = Mapping[str, object]
Score = Callable[[Point], Outcome]

# These end by themselves, and know nothing of distances.
FINITE = ("greedy_soup",)


def settings_of(name: str) -> list[Settings]:
    """Of one optimizer; of Optuna's, one for each sampler. Small populations: tests are short."""
    if name in FINITE:
        return [{"name": name}]
    if name != "optuna":
        return [{"name": name, "population": 8}]
    small = {sampler: {"population": 8} if sampler in GENETIC else {} for sampler in SAMPLERS}
    return [{"name": name, "sampler": sampler, **small[sampler]} for sampler in SAMPLERS]


ALL = [settings for name in optimizers for settings in settings_of(name)]
# These do not look at what they are told.
BLIND = ("qmc", "random")
SEARCHING = [each for each in ALL if each["name"] not in FINITE]
LEARNING = [each for each in SEARCHING if each.get("sampler") not in BLIND]


def name_of(settings: Settings) -> str:
    return str(settings.get("sampler", settings["name"]))


def weights(count: int = 5, high: float = 1.5) -> Space:
    """A weight for each model."""
    names = [f"models[{chr(97 + i)}].parameters.weight" for i in range(count)]
    return Space(tuple(FloatDimension(name, 0.0, high) for name in names))


def largest_space(settings: Settings) -> Space:
    """Of all kinds of dimension that the optimizer takes."""
    space = weights()
    if settings["name"] in FINITE:
        return space
    whole = (IntDimension("layers", 2, 9), FloatDimension("density", 0.01, 1.0, log=True))
    fixed = FloatDimension("lambda", 1.0, 1.0)
    if not optimizers[str(settings["name"])].choices:
        return Space((*space.dimensions, *whole, fixed))
    choices = (ChoiceDimension("method", ("ties", "dare", "slerp")), ChoiceDimension("one", ("x",)))
    return Space((*space.dimensions, *whole, fixed, *choices))


def beyond(settings: Settings) -> int:
    """How far to go on after a cut: over the end of a generation."""
    return 3 if name_of(settings) == "gp" else 10


def length(settings: Settings) -> int:
    """Of a run that goes beyond start-up and a few generations; a Gaussian process is slow."""
    return 12 if name_of(settings) == "gp" else 34


def quadratic(space: Space, at: float = 0.3) -> Score:
    """The squared distance, in the unit cube, from the point at ``at`` everywhere."""

    def score(point: Point) -> Outcome:
        return Outcome((float(np.sum((np.array(space.encode(point)) - at) ** 2)),))

    return score


@dataclass
class Run:
    """What a search asks, records and tells."""

    settings: Settings
    space: Space
    score: Score
    seed: int = 1
    lookahead: int = 1
    objectives: int = 1
    constrained: bool = False
    settle: Callable[[Point], Point] = dict
    warm: Sequence[Point] = ()

    def optimizer(self) -> Optimizer:
        setup = Setup(
            self.space,
            self.seed,
            self.objectives,
            self.lookahead,
            constrained=self.constrained,
            settle=self.settle,
        )
        made = make_optimizer(self.settings, setup)
        for point in self.warm:
            made.warm(point, self.score(point))
        return made

    def go(self, trials: int, recorded: Iterable[Point] = ()) -> list[Point]:
        """The points of ``trials`` trials, as recorded; the first of them may be from before."""
        optimizer, known, points = self.optimizer(), list(recorded), []
        for number in range(trials):
            if number >= self.lookahead:
                told = number - self.lookahead
                optimizer.tell(told, points[told], self.score(points[told]))
            if number < len(known):
                asked = optimizer.recall(number, known[number])
                assert asked is None or self.settle(asked) == known[number]
                points.append(known[number])
                continue
            try:
                point = optimizer.ask(number)
            except Exhausted:
                break
            assert self.space.admits(point), point
            points.append(self.settle(point))
        return points
