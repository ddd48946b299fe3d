"""Task vectors as text and as a picture: each table is a grid, too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from evomerge.cli.tables import Shown, table
from evomerge.inspection.grid import Grid
from evomerge.inspection.task_vectors import Division, TaskVectors

# With more pairs of models than this, a terminal has no room for a column each.
MOST_PAIRS = 6

DIGITS = 3  # of a cosine, behind the point


def shown(found: TaskVectors, by: Division) -> list[Shown]:
    """The lengths; of several models, the cosines of the whole and those of each part."""
    if len(found.models) == 1:
        return [of_norms(found, by)]
    return [of_norms(found, by), of_cosines(found), of_pairs(found, by)]


def of_norms(found: TaskVectors, by: Division) -> Shown:
    """A row for each part and one for the whole, a column for each model."""
    title = f"Norms of task vectors, as shares of that of {found.base}, by {by}"
    listed = [*found.parts, found.whole]
    shares = [part.relative for part in listed]
    headings = (by, "parameters", "norm of base", *found.models)
    rows = [
        [part.name, str(part.parameters), f"{part.base**0.5:#.4g}", *map(_share, row)]
        for part, row in zip(listed, shares, strict=True)
    ]
    text = f"{title}\n{table(headings, rows, numbers=headings[1:])}"
    return Shown(text, Grid(title, [part.name for part in listed], found.models, shares))


def of_cosines(found: TaskVectors) -> Shown:
    """A row and a column for each model."""
    title = f"Cosines of task vectors from {found.base}"
    values = _rounded(found.whole.cosines)
    headings = ("", *found.models)
    rows = [[name, *map(_angle, row)] for name, row in zip(found.models, values, strict=True)]
    text = f"{title}\n{table(headings, rows, numbers=headings[1:])}"
    return Shown(text, Grid(title, found.models, found.models, values))


def of_pairs(found: TaskVectors, by: Division) -> Shown:
    """A row for each part, a column for each pair; in the text of many pairs, their extremes."""
    pairs = [f"{one}, {other}" for one, other in combinations(found.models, 2)]
    title = f"Cosines by {by}"
    names = [part.name for part in found.parts]
    values = _rounded([list(_above(part.cosines)) for part in found.parts])
    many = len(pairs) > MOST_PAIRS
    headings = (by, *(("lowest", "mean", "highest") if many else pairs))
    rows = [
        [name, *map(_angle, _extremes(row) if many else row)]
        for name, row in zip(names, values, strict=True)
    ]
    text = f"{title}\n{table(headings, rows, numbers=headings[1:])}"
    if many:
        text += f"These are of {len(pairs)} pairs; --form json and --picture have them all.\n"
    return Shown(text, Grid(title, names, pairs, values))


def _above(cosines: Sequence[Sequence[float | None]]) -> Iterator[float | None]:
    """What stands above the diagonal, row by row: the order in which pairs are combined."""
    for place, row in enumerate(cosines):
        yield from row[place + 1 :]


def _rounded(rows: Sequence[Sequence[float | None]]) -> list[list[float | None]]:
    """As shown, zero without a sign."""
    return [[None if one is None else round(one, DIGITS) + 0.0 for one in row] for row in rows]


def _extremes(values: Sequence[float | None]) -> tuple[float | None, ...]:
    known = [value for value in values if value is not None]
    return (min(known), sum(known) / len(known), max(known)) if known else (None,) * 3


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:#.3g}"


def _angle(value: float | None) -> str:
    return "" if value is None else f"{value:.{DIGITS}f}"
