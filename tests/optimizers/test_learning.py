"""Every optimizer that looks at what it is told finds better points than one that does not."""

from __future__ import annotations

import numpy as np
import pytest

from evomerge.goals import Outcome
from evomerge.trial import Point
from tests.optimizers.running import LEARNING, Run, Settings, name_of, weights

SPACE = weights(10)
NOISE = 0.05


def regret(settings: Settings, seed: int, trials: int) -> float:
    """The true loss of the trial that looked best, on a quadratic seen through noise."""
    noise = np.random.default_rng(seed)
    target = noise.uniform(0.1, 0.6, len(SPACE))
    seen: dict[tuple, float] = {}

    def truth(point: Point) -> float:
        return float(np.sum((np.array(SPACE.encode(point)) - target) ** 2))

    def score(point: Point) -> Outcome:
        key = tuple(point.values())
        return Outcome((seen.setdefault(key, truth(point) + NOISE * noise.normal()),))

    points = Run(settings, SPACE, score, seed=seed).go(trials)
    return truth(min(points, key=lambda point: score(point).losses[0]))


def wins(settings: Settings, seeds: int, trials: int) -> int:
    """On how many seeds it beats random search."""
    chance = {"name": "optuna", "sampler": "random"}
    pairs = [(regret(settings, s, trials), regret(chance, s, trials)) for s in range(seeds)]
    return sum(mine < theirs for mine, theirs in pairs)


def as_a_user(settings: Settings) -> Settings:
    """With the default population."""
    return {key: value for key, value in settings.items() if key != "population"}


@pytest.mark.parametrize("settings", LEARNING, ids=name_of)
def test_it_beats_random_search(settings):
    few = name_of(settings) == "gp"
    seeds = 1 if few else 3
    assert wins(as_a_user(settings), seeds, 30 if few else 150) == seeds


@pytest.mark.slow
@pytest.mark.parametrize("settings", LEARNING, ids=name_of)
def test_it_beats_random_search_on_nine_of_ten_seeds(settings):
    assert wins(as_a_user(settings), 10, 150) >= 9
