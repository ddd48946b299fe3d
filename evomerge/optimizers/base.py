"""What an optimizer is: it is asked for points and told outcomes, one trial at a time.

Trials are told in the order of their numbers, which count from 0 in each stage. Trial n is asked
after exactly the trials 0 … n-L have been told, where L is the look-ahead of the run; up to L - 1
trials are then pending. What an optimizer proposes is a function of its settings, its ``Setup``,
and what it was told: never of the clock, of global random state, or of a budget.

@optimizer("cma", objectives=None, choices=False)
class Cma:
    def __init__(self, setup: Setup, *, sigma: float = 0.2) -> None: ...   # keywords are YAML keys
    def warm(self, point, outcome): ...
    def ask(self, number): ...
    def tell(self, number, point, outcome): ...
    def recall(self, number, point): ...
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

from evomerge.errors import RecipeError, unknown
from evomerge.goals import Outcome
from evomerge.registry import Registry, check_keywords
from evomerge.space import Space
from evomerge.stacks.code import Code
from evomerge.trial import Point, Value


class Exhausted(Exception):
    """Raised by ``ask`` when an optimizer has proposed all it ever will; its text says why."""


@dataclass(frozen=True)
class Setup:
    """What every optimizer is made from.

    Attributes:
        space: where the points are.
        seed: of everything that it draws.
        objectives: how many losses a trial has.
        lookahead: at most so many trials have been asked and not yet told; 1 is one at a time.
        constrained: whether the goals have constraints. Surrogates then model violations too.
        settle: the point with what its recipe does not read at the middle of its range. Surrogates
            take a pending trial to be there, where it will be recorded.
        codes: how the space writes down stacks of layers, for whoever changes them as stacks.
    """

    space: Space
    seed: int
    objectives: int = 1
    lookahead: int = 1
    constrained: bool = False
    settle: Callable[[Point], Point] = dict
    codes: tuple[Code, ...] = ()


class Optimizer(Protocol):
    """Proposes points."""

    def warm(self, point: Point, outcome: Outcome) -> None:
        """Learns of a point that others proposed, before the first ``ask``. It may be called often.

        An optimizer that ranks only its own points may use them to choose where it starts.
        """

    def ask(self, number: int) -> Point:
        """A point for trial ``number``.

        Raises:
            Exhausted: there is none left.
        """

    def tell(self, number: int, point: Point, outcome: Outcome) -> None:
        """What came of trial ``number``.

        ``point`` is the one asked for, but values that its recipe does not read stand at the
        middle of their range. An optimizer that needs its own vector back keeps it by ``number``.
        """

    def recall(self, number: int, point: Point) -> Point | None:
        """Takes the place of ``ask`` when a run is resumed: trial ``number`` was at ``point``.

        Afterwards the optimizer is in the state in which ``ask`` would have left it.

        Returns:
            What ``ask`` gives now, for the caller to compare; None if the optimizer did not need
            to ask itself.
        """


@dataclass(frozen=True)
class OptimizerKind:
    """A plug-in.

    Attributes:
        name: its name in configs.
        make: the class; its keywords are the keys of the YAML.
        objectives: the most objectives it takes; None is any number.
        choices: whether it takes dimensions without an order.
    """

    name: str
    make: Callable[..., Optimizer]
    objectives: int | None
    choices: bool


O = TypeVar("O", bound=type[Optimizer])  # noqa: E741  an optimizer

optimizers: Registry[OptimizerKind] = Registry("optimizer", package="evomerge.optimizers")


def optimizer(name: str, *, objectives: int | None, choices: bool) -> Callable[[O], O]:
    """Registers the class it decorates under ``name``."""

    def enter(make: O) -> O:
        optimizers.add(name, OptimizerKind(name, make, objectives, choices))
        return make

    return enter


def make_optimizer(
    settings: Mapping[str, object], setup: Setup, where: str = "optimizer"
) -> Optimizer:
    """The optimizer that ``settings`` describe: its ``name``, and keys of that optimizer.

    Raises:
        RecipeError: there is none of that name, it has no such key or value, or it cannot search
            this space or so many objectives.
    """
    kind = optimizers.find(str(settings.get("name")), where)
    if not len(setup.space):
        raise RecipeError(f"{where}: there is nothing to search; the recipe has no holes")
    if setup.space.choices and not kind.choices:
        able = [name for name in optimizers if optimizers[name].choices]
        raise RecipeError(
            f"{where}: {kind.name} takes no choices, and '{setup.space.choices[0].name}' is one; "
            f"these do: {', '.join(able)}"
        )
    if kind.objectives is not None and setup.objectives > kind.objectives:
        able = [name for name in optimizers if optimizers[name].objectives is None]
        raise RecipeError(
            f"{where}: {kind.name} takes {kind.objectives} objective, not {setup.objectives}; "
            f"give weights, as in objectives: {{a: 1, b: 0.5}}, or take {', '.join(able)}"
        )
    keywords = {key: value for key, value in settings.items() if key != "name"}
    check_keywords(partial(kind.make, setup), keywords, where)
    return kind.make(setup, **keywords)


def number_in(key: str, value: object, low: float, high: float) -> float:
    """``value``, if it is a number in [``low``, ``high``]; ``key`` is its name in the YAML.

    Raises:
        RecipeError: it is not.
    """
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not low <= value <= high:  # type: ignore[operator]
        raise RecipeError(
            f"optimizer.{key}: found {value!r}; expected a number from {low:g} to {high:g}"
        )
    return float(value)  # type: ignore[arg-type]


def whole_number_in(key: str, value: object, low: int, high: int) -> int:
    """``value``, if it is a whole number in [``low``, ``high``].

    Raises:
        RecipeError: it is not.
    """
    if int(number_in(key, value, low, high)) != value:
        raise RecipeError(f"optimizer.{key}: found {value!r}; expected a whole number")
    return int(value)


def starting_point(space: Space, given: Mapping[str, Value] | None) -> Point | None:
    """The middle of ``space``, with the values ``given``; None if none are.

    Raises:
        RecipeError: there is no such dimension, or it has no such value.
    """
    if given is None:
        return None
    if not isinstance(given, Mapping):
        raise RecipeError(f"optimizer.x0: found {given!r}; expected values by dimension")
    dimensions = {dimension.name: dimension for dimension in space.dimensions}
    for name, value in given.items():
        if name not in dimensions:
            raise RecipeError(f"optimizer.x0: {unknown('dimension', str(name), dimensions)}")
        if not dimensions[name].admits(value):
            raise RecipeError(f"optimizer.x0.{name}: found {value!r}; expected {dimensions[name]}")
    return {**space.middle(), **given}
