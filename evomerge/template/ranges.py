"""Refusing ranges, and combinations of options, in which there are illegal recipes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

from evomerge.errors import EvomergeError, RecipeError
from evomerge.recipe import Recipe
from evomerge.space import ChoiceDimension, Space
from evomerge.template.fillable import Fillable
from evomerge.trial import Point

# How near to a corner of the box, as a share of each range, a point of it is taken. Not in it: that
# all weights are zero there makes no range of weights illegal.
NEAR = 0.05
# Of two dimensions that are illegal together in one corner of four, this many points miss it once
# in a million; of three, once in six hundred.
CORNERS, INSIDE = 48, 16
BY_OPTION = 6


def check_ranges(template: Fillable, check: Callable[[Recipe], None]) -> None:
    """Fills points near the corners of the box, and inside, at every option, and checks them.

    Raises:
        RecipeError: the dimensions whose values go wrong together, and what is wrong.
    """
    for point in _points(template):
        error = _complaint(template, check, point)
        if error is None:
            continue
        culprits = _culprits(template, check, point)
        if not culprits:
            raise RecipeError(f"{template.where}: {error}") from error
        found = ", ".join(f"{name} = {_spelled(point[name])}" for name in culprits)
        raise RecipeError(
            f"{template.where}: with {found} there is no legal recipe; "
            f"narrow the range, or the options\n       {error}"
        ) from error


def _points(template: Fillable) -> Iterator[Point]:
    random = Random(0)
    for path in template.paths():
        yield template.at(path)
        for _ in range(BY_OPTION):
            yield {**_near_a_corner(template.space, random), **path}
    for _ in range(CORNERS):
        yield _near_a_corner(template.space, random)
    for _ in range(INSIDE):
        yield template.space.decode([random.random() for _ in template.space.names])


def _near_a_corner(space: Space, random: Random) -> Point:
    units = []
    for dimension in space.dimensions:
        if isinstance(dimension, ChoiceDimension):
            units.append(random.random())
        else:
            units.append(abs(random.choice((0.0, 1.0)) - NEAR * random.random()))
    return space.decode(units)


def _complaint(
    template: Fillable, check: Callable[[Recipe], None], point: Point
) -> EvomergeError | None:
    try:
        check(template.fill(point))
    except EvomergeError as error:
        return error
    return None


def _culprits(template: Fillable, check: Callable[[Recipe], None], point: Point) -> tuple[str, ...]:
    """The dimensions that must stand where they do, for the recipe to be illegal."""
    middle, guilty = template.space.middle(), dict(point)
    for name in template.space.names:
        tried = {**guilty, name: middle[name]}
        if _complaint(template, check, tried) is not None:
            guilty = tried
    return tuple(name for name in guilty if guilty[name] != middle[name])


def _spelled(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
