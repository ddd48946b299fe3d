"""What was found about two models, as text, for programs, and as a picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from statistics import fmean
from typing import NamedTuple

from evomerge.cli.tables import table
from evomerge.inspection.convergence import Convergence, Place
from evomerge.inspection.curves import Curves, Line
from evomerge.inspection.grid import Figure, Grid
from evomerge.inspection.partners import RARE, Partners, Sides
from evomerge.inspection.task_vectors import TaskVectors
from evomerge.linear_merger.curve import Curve
from evomerge.measurements.units import RESIDUAL

KINDS = (RESIDUAL, "heads", "neurons")


class Between(NamedTuple):
    """What lies between two models.

    Attributes:
        cosines: of their weights, or of their task vectors.
        line: bits per byte on the straight line between them.
        apart: why there is neither; None if there is.
    """

    cosines: TaskVectors | None = None
    line: Curve | None = None
    apart: str | None = None


def texts(found: Convergence, between: Between, text: str) -> Iterator[str]:
    """The tables, one after the other."""
    yield _units(found)
    yield _maps(found)
    if between.apart is not None:
        yield f"No weights are compared, and no line is drawn: {between.apart}\n"
    if between.cosines is not None:
        yield _cosines(between.cosines)
    if between.line is not None:
        yield _line(found, between.line, text)


def _units(found: Convergence) -> str:
    title = f"{found.first} and {found.second}: correlations of units, {found.tokens} tokens"
    headings = (
        "units", *(f"of {name}" for name in (found.first, found.second)),
        "one to one", "in place", "of mixes", "best", "gap", "rare", "clusters",
    )  # fmt: skip
    rows = [_row(place) for place in found.places]
    return f"{title}\n{table(headings, rows, numbers=headings[1:])}{_summary(found)}"


def _row(place: Place) -> list[str]:
    one, many = place.partners, place.clusters
    values = (one.one_to_one, place.of_mixes, one.best, one.gap)
    matched, mixes, best, gap = (f"{value:.3f}" for value in values)
    return [
        place.title,
        *map(str, place.units),
        matched,
        str(one.in_place),
        mixes,
        best,
        gap,
        " + ".join(str(len(units)) for units in one.rare),
        f"{len(many.many)} from {many.threshold:.2f}",
    ]


def _summary(found: Convergence) -> str:
    """How many units have a partner, and how many of the pairs stand in one place."""
    units = [sum(sizes) for sizes in zip(*(place.units for place in found.places), strict=True)]
    rare = [sum(map(len, each)) for each in zip(*(_rare(p) for p in found.places), strict=True)]
    pairs = sum(len(place.partners.pairs.first) for place in found.places)
    in_place = sum(place.partners.in_place for place in found.places)
    shares = (f"{all_ - few} of {all_}" for all_, few in zip(units, rare, strict=True))
    ours, theirs = shares
    return (
        f"A partner, with a correlation of {RARE} or more, have {ours} units of {found.first} and "
        f"{theirs} of {found.second}. Of {pairs} pairs {in_place} stand in one place.\n"
    )


def _rare(place: Place) -> Sides:
    return place.partners.rare


def _maps(found: Convergence) -> str:
    title = (
        f"Maps from few units of {found.first} to each of {found.second}: share of variance "
        f"explained on {found.held_out} held-out tokens, and units used, by lambda"
    )
    mapped = [place for place in found.places if place.maps]
    headings = ("units", *(f"{each.penalty:g}" for each in mapped[0].maps))
    rows = [
        [place.title, *(f"{each.explained:.3f} ({each.used:.1f})" for each in place.maps)]
        for place in mapped
    ]
    return f"{title}\n{table(headings, rows, numbers=headings[1:])}"


def _cosines(found: TaskVectors) -> str:
    rows = [[part, _cosine(value)] for part, value in _by_part(found).items()]
    return f"{_of(found)}\n{table(('layer', 'cosine'), rows, numbers=('cosine',))}"


def _of(found: TaskVectors) -> str:
    what = "weights" if found.base is None else f"task vectors from {found.base}"
    return f"Cosines of {what}"


def _by_part(found: TaskVectors) -> dict[str, float | None]:
    return {part.name: part.cosines[0][1] for part in (*found.parts, found.whole)}


def _cosine(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _line(found: Convergence, line: Curve, text: str) -> str:
    title = (
        f"From {found.first} to {found.second}: bits per byte of {text}, with a barrier of "
        f"{line.barrier:.4f}"
    )
    headings = (f"share of {found.second}", "bits per byte", "over the straight line")
    rows = [
        [f"{share:.3g}", f"{value:.4f}", f"{value - straight:+.4f}"]
        for share, value, straight in zip(line.shares, line.values, _straight(line), strict=True)
    ]
    return f"{title}\n{table(headings, rows, numbers=headings)}"


def _straight(line: Curve) -> list[float]:
    first, last = line.values[0], line.values[-1]
    return [(1 - share) * first + share * last for share in line.shares]


def fields_of(found: Convergence, between: Between) -> Mapping[str, object]:
    """All that was found, for programs."""
    cosines, line = between.cosines, between.line
    return {
        "models": [found.first, found.second],
        "tokens": found.tokens,
        "held_out": found.held_out,
        "rare_below": RARE,
        "places": [_fields(place) for place in found.places],
        "cosines": cosines and {"base": cosines.base, "layers": _by_part(cosines)},
        "line": line and {**line._asdict(), "barrier": line.barrier},
        "apart": between.apart,
    }


def _fields(place: Place) -> Mapping[str, object]:
    one, many = place.partners, place.clusters
    return {
        "kind": place.kind,
        "layer": place.layer,
        "units": place.units,
        "one_to_one": one.one_to_one,
        "of_mixes": place.of_mixes,
        "best": [one.first_best, one.second_best],
        "gap": one.gap,
        "in_place": one.in_place,
        **_indices(one),
        "clusters": {
            "threshold": many.threshold,
            "single": many.single,
            "many": [_sides(each) for each in many.many],
        },
        "maps": [each._asdict() for each in place.maps],
    }


def _indices(found: Partners) -> Mapping[str, object]:
    return {"pairs": _sides(found.pairs), "rare": _sides(found.rare)}


def _sides(sides: Sides) -> list[list[int]]:
    """The indices of units of the first model, and of the second."""
    return [units.tolist() for units in sides]


def figures(found: Convergence, between: Between) -> list[Figure]:
    """Correlations over the layers, sparse maps, cosines, and the line between the models."""
    drawn: list[Figure] = [_over_layers(found, kind) for kind in KINDS]
    drawn.append(_drawn_maps(found))
    if between.cosines is not None:
        parts = _by_part(between.cosines)
        drawn.append(Grid(_of(between.cosines), ["cosine"], list(parts), [list(parts.values())]))
    if between.line is not None:
        shares, values = between.line
        lines = [
            Line("bits per byte", list(zip(shares, values, strict=True))),
            Line("straight line", list(zip(shares, _straight(between.line), strict=True))),
        ]
        title = f"From {found.first} to {found.second}: barrier {between.line.barrier:.4f}"
        drawn.append(Curves(title, f"share of {found.second}", lines))
    return drawn


def _over_layers(found: Convergence, kind: str) -> Curves:
    places = [place for place in found.places if place.kind == kind]
    lines = {
        "best partner": [place.partners.best for place in places],
        "one to one": [place.partners.one_to_one for place in places],
        "one to one, of mixes": [place.of_mixes for place in places],
    }
    layers = [-1 if place.layer is None else place.layer for place in places]
    return Curves(
        f"Correlations of {found.first} and {found.second}: {kind}",
        "layer, -1 is behind embeddings" if kind == RESIDUAL else "layer",
        [Line(name, list(zip(layers, values, strict=True))) for name, values in lines.items()],
        up=(0.0, 1.0),
    )


def _drawn_maps(found: Convergence) -> Curves:
    """A line for each kind of units that is mapped: the mean over its places, λ by λ."""
    lines = []
    for kind in KINDS:
        mapped = [place.maps for place in found.places if place.kind == kind and place.maps]
        points = [
            (fmean(each.used for each in maps), fmean(each.explained for each in maps))
            for maps in zip(*mapped, strict=True)
        ]
        if points:
            lines.append(Line(f"{kind}, mean over layers", points))
    title = f"Maps from {found.first} to {found.second}: share of variance explained, held out"
    return Curves(title, "units used", lines)
