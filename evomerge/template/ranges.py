"""Refusing ranges, and combinations of options, in which there are illegal recipes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

from evomerge.errors import EvomergeError, RecipeError
from evomerge.recipe import AnyRecipe
from evomerge.space import ChoiceDimension, Space
from evomerge.template.fillable import Fillable
from evomerge.trial import Point

# How near to a corner of the box, as a share of each range, a point of it is taken. Not in it: that
# all weights are zero there makes no range of weights illegal.
NEAR = 0.05
# Of two dimensions that are illegal together in one corner of four, this many points miss it once
# in a million; of three, once in six hundred.
CORNERS = 48
BY_OPTION = 4


def check_ranges(template: Fillable, check: Callable[[AnyRecipe], None]) -> None:
    """Fills points near the corners of the box, and inside, at every option, and checks them.

    Raises:
        RecipeError: the dimensions whose values go wrong together, and what is wrong.
    """
    for point in _points(template):
        error = _complaint(template, check, point)
        if error is not None:
            culprits = _culprits(template, check, point)
            found = ", ".join(f"{name} = {_spelled(point[name])}" for name in culprits)
            about = f"with {found} there is no legal recipe; narrow the range, or the options"
            reason = f"{about}\n       {error}" if culprits else error
            raise RecipeError(f"{template.where}: {reason}") from error


def _points(template: Fillable) -> Iterator[Point]:
    random = Random(0)
    for path in template.paths():
        for _ in range(BY_OPTION):
            yield {**_inside(template.space, random), **path}
            yield {**_near_a_corner(template.space, random), **path}
    for _ in range(CORNERS):
        yield _near_a_corner(template.space, random)


def _inside(space: Space, random: Random) -> Point:
    return space.decode([random.random() for _ in space.names])


def _near_a_corner(space: Space, random: Random) -> Point:
    units = []
    for dimension in space.dimensions:
        if isinstance(dimension, ChoiceDimension):
            units.append(random.random())
        else:
            units.append(abs(random.choice((0.0, 1.0)) - NEAR * random.random()))
    return space.decode(units)


def _complaint(
    template: Fillable, check: Callable[[AnyRecipe], None], point: Point
) -> EvomergeError | None:
    try:
        check(template.fill(point))
    except EvomergeError as error:
        return error
    return None


def _culprits(
    template: Fillable, check: Callable[[AnyRecipe], None], point: Point
) -> tuple[str, ...]:
    """The dimensions that must stand where they do, for the recipe to be illegal.

    None if there is no legal recipe to compare with.
    """
    others = _points(template)
    legal = next((each for each in others if _complaint(template, check, each) is None), point)
    guilty = dict(point)
    for name in template.space.names:
        tried = {**guilty, name: legal[name]}
        if _complaint(template, check, tried) is not None:
            guilty = tried
    return tuple(name for name in guilty if guilty[name] != legal[name])


def _spelled(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
