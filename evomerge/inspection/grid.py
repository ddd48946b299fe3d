"""Numbers as a picture: rows and columns of coloured cells, written as a PNG.

Drawn with Pillow, which needs no browser and no screen. What else has a box can be drawn beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from evomerge.errors import MissingExtra, OutputError

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

# Five colours of viridis, from its lowest to its highest: van der Walt and Smith, 2015.
COLOURS = ((68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37))
INK, PAPER, NO_CELL = (20, 20, 20), (255, 255, 255), (225, 225, 225)
# Above this brightness, of 255, a cell's number is dark.
BRIGHT = 140

# All in pixels.
FONT, SMALL = 15, 13
MARGIN, GAP, LINE = 20, 6, 22
CELL, BARE = (52, 30), (16, 16)
# With more columns than this, cells hold no numbers and only some columns have a label.
MOST_NUMBERS = 24
LABELS_APART = 5


class Box(Protocol):
    """Where the parts of a figure stand; all in pixels.

    Attributes:
        width: of it.
        height: of it.
    """

    width: int
    height: int

    def draw(self, canvas: ImageDraw, top: int) -> None:
        """Draws the figure, from ``top`` down."""


class Figure(Protocol):
    """What can be drawn."""

    def box(self, canvas: ImageDraw) -> Box:
        """The figure with its sizes, which ``canvas`` tells of texts."""


@dataclass(frozen=True)
class Grid:
    """Numbers in rows and columns.

    Attributes:
        title: what stands above it.
        rows: a label for each row.
        columns: a label for each column.
        values: row by row; None is a cell without a number.
        low: what the darkest colour stands for, the lowest value if None.
        high: what the brightest colour stands for, the highest value if None.
    """

    title: str
    rows: Sequence[str]
    columns: Sequence[str]
    values: Sequence[Sequence[float | None]]
    low: float | None = None
    high: float | None = None

    def ends(self) -> tuple[float, float]:
        """The values of the darkest and of the brightest colour."""
        found = [value for row in self.values for value in row if value is not None] or [0.0]
        low = min(found) if self.low is None else self.low
        high = max(found) if self.high is None else self.high
        return low, high

    def box(self, canvas: ImageDraw) -> Box:
        """The grid with its sizes."""
        return _Box(canvas, self)


def check_drawing(file: Path, verb: str) -> None:
    """Checks that a picture can be drawn, and that there is a folder for it.

    Args:
        file: the picture.
        verb: of the command line, which is asked for it.

    Raises:
        OutputError: the file is no PNG by its name, or its folder does not exist.
        MissingExtra: Pillow is not installed.
    """
    if file.suffix.lower() != ".png":
        raise OutputError(f"{file}: pictures are written as PNG; give it a name that ends in .png")
    if not file.absolute().parent.is_dir():
        raise OutputError(f"{file}: there is no folder {file.parent}; make it first")
    if find_spec("PIL") is None:
        raise MissingExtra(f"{verb} --picture", "pillow", "report")


def draw(figures: Sequence[Figure], file: Path) -> None:
    """Writes the figures, one below the other.

    Raises:
        OutputError: the file cannot be written.
    """
    from PIL import Image, ImageDraw

    blank = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    boxes = [figure.box(blank) for figure in figures]
    width = max(box.width for box in boxes) + 2 * MARGIN
    height = sum(box.height + MARGIN for box in boxes) + MARGIN
    image = Image.new("RGB", (width, height), PAPER)
    canvas, top = ImageDraw.Draw(image), MARGIN
    for box in boxes:
        box.draw(canvas, top)
        top += box.height + MARGIN
    try:
        image.save(file)
    except OSError as error:
        raise OutputError(f"{file}: cannot be written: {error.strerror}") from error


class _Box:
    """Where the parts of a grid stand."""

    def __init__(self, canvas: ImageDraw, grid: Grid) -> None:
        self.grid = grid
        self.ends = grid.ends()
        self.numbered = len(grid.columns) <= MOST_NUMBERS
        across, down = (widest(canvas, labels) for labels in (grid.columns, grid.rows))
        self.cell = (max(CELL[0], across + GAP), CELL[1]) if self.numbered else BARE
        self.left = MARGIN + down + GAP
        title = MARGIN + int(canvas.textlength(self.title, font_size=FONT))
        self.width = max(self.left + self.cell[0] * len(grid.columns), title) - MARGIN
        self.height = 2 * LINE + self.cell[1] * len(grid.rows)

    @property
    def title(self) -> str:
        """The title, and what the colours mean where no number says it."""
        if self.numbered:
            return self.grid.title
        low, high = self.ends
        return f"{self.grid.title}; dark is {low:.3g}, bright {high:.3g}"

    def draw(self, canvas: ImageDraw, top: int) -> None:
        """Draws the grid, from ``top`` down."""
        canvas.text((MARGIN, top), self.title, INK, font_size=FONT)
        below = top + LINE
        width, height = self.cell
        for number, label in self._labels(self.grid.columns):
            middle = self.left + width * number + width // 2
            canvas.text((middle, below), label, INK, anchor="ma", font_size=SMALL)
        for number, label in self._labels(self.grid.rows):
            middle = below + LINE + height * number + height // 2
            canvas.text((self.left - GAP, middle), label, INK, anchor="rm", font_size=SMALL)
        for row, values in enumerate(self.grid.values):
            for column, value in enumerate(values):
                corner = (self.left + width * column, below + LINE + height * row)
                self._draw_cell(canvas, corner, value)

    def _labels(self, labels: Sequence[str]) -> Iterator[tuple[int, str]]:
        """Those that there is room for, and their places."""
        few = self.numbered or len(labels) < LABELS_APART
        return islice(enumerate(labels), 0, None, 1 if few else LABELS_APART)

    def _draw_cell(self, canvas: ImageDraw, corner: tuple[int, int], value: float | None) -> None:
        (x, y), (width, height) = corner, self.cell
        colour = NO_CELL if value is None else colour_of(value, *self.ends)
        canvas.rectangle((x, y, x + width - 1, y + height - 1), colour)
        if value is not None and self.numbered:
            ink = INK if brightness(colour) > BRIGHT else PAPER
            middle = (x + width // 2, y + height // 2)
            canvas.text(middle, f"{value:.3g}", ink, anchor="mm", font_size=SMALL)


def widest(canvas: ImageDraw, labels: Sequence[str]) -> int:
    """How much room the longest of some labels takes."""
    return int(max((canvas.textlength(label, font_size=SMALL) for label in labels), default=0))


def colour_of(value: float, low: float, high: float) -> tuple[int, int, int]:
    """Red, green and blue, 0 to 255; values beyond an end have its colour."""
    share = (value - low) / (high - low) if high > low else 1.0
    place = min(max(share, 0.0), 1.0) * (len(COLOURS) - 1)
    first = min(int(place), len(COLOURS) - 2)
    near, far, part = COLOURS[first], COLOURS[first + 1], place - first
    red, green, blue = (round(a + (b - a) * part) for a, b in zip(near, far, strict=True))
    return red, green, blue


def brightness(colour: tuple[int, int, int]) -> float:
    """As seen by the eye, 0 to 255: ITU-R BT.601."""
    red, green, blue = colour
    return 0.299 * red + 0.587 * green + 0.114 * blue
