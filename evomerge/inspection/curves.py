"""Numbers as lines over an axis, drawn beside grids."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from typing import TYPE_CHECKING

from evomerge.inspection.grid import FONT, GAP, INK, LINE, MARGIN, SMALL, Box, widest
from evomerge.inspection.stack_picture import COLOURS, FAINT, SWATCH

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

# All in pixels: of the field in which the lines run, of lines and of their points.
FIELD = (560, 220)
THICK, POINT = 2, 3
# About so many numbers stand beside an axis.
MARKS = 5
HAIR = 1e-9


@dataclass(frozen=True)
class Line:
    """One line.

    Attributes:
        name: what it is.
        points: where it goes: (across, up).
    """

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Curves:
    """Lines over one axis.

    Attributes:
        title: what stands above them.
        across: what the horizontal axis is.
        lines: each with a point at least; of more than seven, some share a colour.
        up: where the vertical axis begins and ends; as the lines do if None.
    """

    title: str
    across: str
    lines: Sequence[Line]
    up: tuple[float, float] | None = None

    def box(self, canvas: ImageDraw) -> Box:
        """The lines with their sizes."""
        return _Box(canvas, self)

    def ends(self, axis: int) -> tuple[float, float]:
        """The least and the greatest number across (0) or up (1), never the same."""
        if axis and self.up is not None:
            return self.up
        numbers = [point[axis] for line in self.lines for point in line.points]
        low, high = min(numbers), max(numbers)
        return (low, high) if high > low else (low - 0.5, high + 0.5)


class _Box:
    """Where the parts of some lines stand."""

    def __init__(self, canvas: ImageDraw, curves: Curves) -> None:
        self.curves = curves
        self.marks = [list(marks(*curves.ends(axis))) for axis in (0, 1)]
        self.left = MARGIN + widest(canvas, self.marks[1]) + GAP
        legend = self.left + FIELD[0] + MARGIN + SWATCH + GAP
        names = legend + widest(canvas, [line.name for line in curves.lines])
        title = MARGIN + int(canvas.textlength(curves.title, font_size=FONT))
        self.width = max(names, title) - MARGIN
        self.height = 3 * LINE + max(FIELD[1], LINE * len(curves.lines))

    def draw(self, canvas: ImageDraw, top: int) -> None:
        """Draws the lines, from ``top`` down."""
        canvas.text((MARGIN, top), self.curves.title, INK, font_size=FONT)
        top += LINE
        bottom, right = top + FIELD[1], self.left + FIELD[0]
        for text in self.marks[0]:
            x, _ = self._place(float(text), None, top)
            canvas.text((x, bottom + GAP), text, INK, anchor="ma", font_size=SMALL)
        for text in self.marks[1]:
            _, y = self._place(None, float(text), top)
            canvas.line((self.left, y, right, y), FAINT)
            canvas.text((self.left - GAP, y), text, INK, anchor="rm", font_size=SMALL)
        middle = (self.left + right) // 2
        canvas.text((middle, bottom + LINE), self.curves.across, INK, anchor="ma", font_size=SMALL)
        for number, line in enumerate(self.curves.lines):
            colour = COLOURS[number % len(COLOURS)]
            points = [self._place(x, y, top) for x, y in line.points]
            canvas.line(points, colour, width=THICK)
            for x, y in points:
                canvas.ellipse((x - POINT, y - POINT, x + POINT, y + POINT), colour)
            corner = (right + MARGIN, top + LINE * number)
            canvas.rectangle((*corner, corner[0] + SWATCH, corner[1] + SWATCH), colour)
            name = (corner[0] + SWATCH + GAP, corner[1])
            canvas.text(name, line.name, INK, font_size=SMALL)

    def _place(self, x: float | None, y: float | None, top: int) -> tuple[int, int]:
        """Where a point stands; without a number, at the axis."""
        shares = []
        for axis, number in enumerate((x, y)):
            low, high = self.curves.ends(axis)
            shares.append(0.0 if number is None else (number - low) / (high - low))
        across, up = (round(share * size) for share, size in zip(shares, FIELD, strict=True))
        return self.left + across, top + FIELD[1] - up


def marks(low: float, high: float) -> Iterator[str]:
    """Round numbers from ``low`` to ``high``, about `MARKS`, as they are written."""
    rough = (high - low) / MARKS
    power = 10.0 ** floor(log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    digits = max(0, -floor(log10(step)))
    # A hair beyond the ends: 0.06 / 0.02 is not quite 3.
    first, last = ceil(low / step - HAIR), floor(high / step + HAIR)
    for number in range(first, last + 1):
        yield f"{number * step + 0.0:.{digits}f}"
