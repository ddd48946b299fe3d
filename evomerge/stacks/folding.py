"""Scales of the residual stream, folded into weights.

Multiplying the stream by s before a hop, and never again, is the same function as dividing what
that hop and all later ones add to the stream by s: the norms that read it do not see its scale.
(Their epsilons do: with them the two differ a little, and **the folded weights are what a scale
means**.) After scales s_1 … s_t, hop t writes divided by S_t = s_1 · … · s_t.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from evomerge.errors import RecipeError
from evomerge.families import Family
from evomerge.space import rounded

# Of what stands in a recipe: enough to tell neighbouring scales of six digits apart.
DIGITS = 9
LAST_DIGIT = 1e-8

# As the ``parameters`` of a slice have them.
Folded = Mapping[str, list[dict[str, object]]]


def cumulative(scales: Iterable[float]) -> Iterator[float]:
    """S_t for each hop."""
    product = 1.0
    for scale in scales:
        product *= scale
        yield product


def folded(total: float, family: Family) -> Folded:
    """The parameters of passthrough for a hop behind scales with the product ``total``.

    Raises:
        RecipeError: it is not known how such models write to the residual stream.
    """
    if total == 1.0:
        return {}
    residual = family.residual
    if residual is None:
        raise RecipeError(
            f"{family.name}: a scale cannot be folded into such layers; "
            "leave out 'scale', or merge models of another family"
        )
    inverse, times = _written(1.0 / total), _written(total)
    values = dict.fromkeys(residual.writers, inverse) | dict.fromkeys(residual.readers, times)
    settings = {"scale": values, "gain": dict.fromkeys(residual.gains, inverse)}
    return {
        name: [{"filter": part, "value": value} for part, value in parts.items()]
        for name, parts in settings.items()
        if parts
    }


def unfolded(parameters: Mapping[str, object], family: Family) -> float | None:
    """The ``total`` for which `folded` gives these parameters; None if there is none."""
    if not parameters:
        return 1.0
    residual = family.residual
    if residual is None:
        return None
    name, parts = ("scale", residual.writers) if residual.writers else ("gain", residual.gains)
    value = _value_of(parts[0], parameters.get(name))
    if not value:
        return None
    return 1.0 / value if _same(folded(1.0 / value, family), parameters) else None


def _value_of(part: str, entries: object) -> float | None:
    """What a conditional list says first, if it is a positive number for tensors of ``part``."""
    match entries:
        case [{"filter": str(found), "value": int() | float() as value}, *_] if found == part:
            return value if value > 0 else None
    return None


def ratio(before: float, after: float) -> float:
    """The scale between two totals, to the digits that a point keeps."""
    return rounded(after / before)


def _written(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def _same(one: Mapping[str, object], other: Mapping[str, object]) -> bool:
    """Whether two settings are the same, but for rounding in their last digit."""
    if one.keys() != other.keys():
        return False
    pairs = [(one[name], other[name]) for name in one]
    return all(
        isinstance(a, list) and isinstance(b, list) and len(a) == len(b) and all(map(_alike, a, b))
        for a, b in pairs
    )


def _alike(one: Mapping[str, object], other: Mapping[str, object]) -> bool:
    a, b = one.get("value"), other.get("value")
    numbers = isinstance(a, int | float) and isinstance(b, int | float)
    return one.get("filter") == other.get("filter") and numbers and abs(a / b - 1) < LAST_DIGIT  # type: ignore[operator]
