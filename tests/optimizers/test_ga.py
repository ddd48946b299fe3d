"""The genetic algorithm, where stacks of layers are to be found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from evomerge.goals import FAILED, Outcome
from evomerge.optimizers import ga
from evomerge.optimizers.base import Optimizer, Setup, make_optimizer
from evomerge.recipe import ModelReference
from evomerge.space import FloatDimension, Space
from evomerge.stacks.code import Code
from evomerge.stacks.edit_code import EditCode
from evomerge.stacks.ground import Ground, Source
from evomerge.stacks.hops import Stack
from evomerge.stacks.indicator_code import IndicatorCode
from evomerge.stacks.path_code import PathCode
from evomerge.trial import Point

A, B = ModelReference("a"), ModelReference("b")
SOURCES = {"a": Source(A, 6), "b": Source(B, 6)}
GROUND = Ground(SOURCES, "a", (1, 1), (2, 8), (0.7, 1.4))
CODES: Mapping[str, Code] = {
    "edits": EditCode(GROUND, "stack", 4, 2),
    "indicator": IndicatorCode(GROUND, "stack", 2),
    "path": PathCode(GROUND, "stack"),
}
WEIGHT = FloatDimension("weight", 0.0, 1.0)


@pytest.fixture(params=CODES)
def code(request: pytest.FixtureRequest) -> Code:
    return CODES[request.param]


class Search:
    """An optimizer of stacks and one weight, told how many layers are model b's, in their place."""

    def __init__(
        self,
        code: Code,
        settings: Mapping[str, object],
        seed: int = 0,
        plain: tuple[FloatDimension, ...] = (WEIGHT,),
    ) -> None:
        self.code, self.space = code, Space((*code.dimensions, *plain))
        setup = Setup(self.space, seed, settle=self.settled, codes=(code,))
        self.optimizer: Optimizer = make_optimizer(settings, setup)
        start = self.settled({**self.space.middle(), **(code.encode(self.stack_of_a) or {})})
        self.optimizer.warm(start, self.outcome(start))

    @property
    def stack_of_a(self) -> Stack:
        ground = self.code.ground
        return ground.whole(ground.middle)

    def settled(self, point: Point) -> Point:
        known = {"weight": point["weight"]} if "weight" in point else {}
        return {**self.space.middle(), **self.code.read(point), **known}

    def outcome(self, point: Point) -> Outcome:
        stack = self.code.decode(point)
        if len(stack) < 4:
            return FAILED
        right = sum(hop.model == B and hop.layer == place for place, hop in enumerate(stack))
        return Outcome((-right - float(point.get("weight", 0.0)) / 10,))

    def go(self, trials: int, first: int = 0) -> Iterator[Point]:
        for number in range(first, first + trials):
            point = self.settled(self.optimizer.ask(number))
            yield point
            self.optimizer.tell(number, point, self.outcome(point))

    def best(self, trials: int) -> float:
        found = [self.outcome(point).losses or (0.0,) for point in self.go(trials)]
        return min(losses[0] for losses in found)


def test_no_stack_is_proposed_twice_with_the_same_numbers(code):
    search = Search(code, {"name": "ga"})
    points = list(search.go(80))
    assert all(
        each.admits(point[each.name]) for point in points for each in search.space.dimensions
    )
    assert len({(code.decode(point), point["weight"]) for point in points}) == len(points)


def test_a_search_that_is_cut_goes_on_as_if_it_had_not_been(code):
    whole = list(Search(code, {"name": "ga"}).go(40))
    again = Search(code, {"name": "ga"})
    for number, point in enumerate(whole[:25]):
        assert again.optimizer.recall(number, point) is None
        again.optimizer.tell(number, point, again.outcome(point))
    assert list(again.go(15, first=25)) == whole[25:]


def test_it_finds_stacks_that_chance_does_not(code):
    chance = {"name": "optuna", "sampler": "random"}
    for seed in range(2):
        mine, theirs = (Search(code, each, seed).best(120) for each in ({"name": "ga"}, chance))
        assert mine < theirs


def test_parents_that_have_all_their_edits_have_children(monkeypatch):
    """Were a child beyond the bound its parent again, random points would soon have to do."""
    random: list[object] = []
    decode = Space.decode

    def counted(space: Space, places: list[float]) -> Point:
        random.extend([places] if set(places) != {0.5} else [])
        return decode(space, places)

    monkeypatch.setattr(Space, "decode", counted)
    monkeypatch.setattr(ga, "DRAWS", 6)
    search = Search(EditCode(GROUND, "stack", 2, 1), {"name": "ga", "crossover": 0}, plain=())
    assert len(list(search.go(60))) == 60
    assert len(random) <= 2
