"""A stack of layers as a picture: which layer of which model at each hop, at what scale.

Hops run to the right, the layers of the models upwards; a colour is a model. Where the residual
stream is scaled before a hop, the number stands below it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from evomerge.errors import OutputError
from evomerge.inspection.grid import BRIGHT, FONT, INK, MARGIN, PAPER, SMALL, brightness
from evomerge.recipe import ModelReference
from evomerge.report.stack_lines import scale_text
from evomerge.stacks import Hop, Stack

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

# Told apart by all kinds of eyes: M. Okabe and K. Ito, Color universal design, 2008.
COLOURS = (
    (0, 114, 178), (230, 159, 0), (0, 158, 115), (204, 121, 167), (213, 94, 0), (86, 180, 233),
    (240, 228, 66),
)  # fmt: skip
FAINT, PATH = (232, 232, 232), (150, 150, 150)

# All in pixels. A column holds a scale of four characters, or the number of a layer.
SCALED, PLAIN, ROW = 40, 26, 22
INSET, SWATCH, LINE, GAP = 1, 14, 24, 6
LEFT = 80


@dataclass(frozen=True)
class StackPicture:
    """What is drawn.

    Attributes:
        stack: the hops.
        anchor: the model that gives embeddings, last norm and head.
        names: what each model is called.
    """

    stack: Stack
    anchor: ModelReference
    names: Mapping[ModelReference, str]

    @property
    def colours(self) -> Mapping[ModelReference, tuple[int, int, int]]:
        """By model, red, green and blue, 0 to 255; of more than seven models some share one."""
        models = dict.fromkeys(hop.model for hop in self.stack)
        return {model: COLOURS[n % len(COLOURS)] for n, model in enumerate(models)}

    def draw(self, file: Path) -> None:
        """Writes it as a PNG.

        Raises:
            OutputError: the file cannot be written.
        """
        from PIL import Image, ImageDraw

        blank = ImageDraw.Draw(Image.new("RGB", (1, 1)))
        texts = [self._title, *(self.names[model] for model in self.colours)]
        widest = SWATCH + max(int(blank.textlength(text, font_size=FONT)) for text in texts)
        width = max(LEFT + self._column * len(self.stack), MARGIN + widest) + 2 * MARGIN
        image = Image.new("RGB", (width, self._below(len(self._rows)) + MARGIN // 2), PAPER)
        canvas = ImageDraw.Draw(image)
        self._draw_head(canvas)
        self._draw_axes(canvas, width)
        self._draw_path(canvas)
        for number, hop in enumerate(self.stack):
            self._draw_hop(canvas, number, hop)
        try:
            image.save(file)
        except OSError as error:
            raise OutputError(f"{file}: cannot be written: {error.strerror}") from error

    @property
    def _title(self) -> str:
        ends = self.names[self.anchor]
        return f"{len(self.stack)} layers; embeddings, last norm and head of {ends}"

    @property
    def _rows(self) -> tuple[str, ...]:
        """What stands below the hops."""
        return ("hop", "scale") if any(map(scale_text, self.stack)) else ("hop",)

    @property
    def _column(self) -> int:
        return SCALED if "scale" in self._rows else PLAIN

    @property
    def _highest(self) -> int:
        """The last layer that a hop takes."""
        return max(hop.layer for hop in self.stack)

    @property
    def _bottom(self) -> int:
        """Where the lowest row ends."""
        return MARGIN + LINE * (1 + len(self.colours)) + ROW * (self._highest + 1)

    def _below(self, row: int) -> int:
        """The middle of a row below the hops."""
        return self._bottom + LINE * row + LINE // 2

    def box(self, number: int, layer: int) -> tuple[int, int, int, int]:
        """Where a hop that takes this layer stands: left, top, right, bottom."""
        left, top = LEFT + self._column * number, self._bottom - ROW * (layer + 1)
        return left, top, left + self._column, top + ROW

    def _draw_head(self, canvas: ImageDraw) -> None:
        """What it is, and which colour is which model."""
        canvas.text((MARGIN, MARGIN // 2), self._title, INK, font_size=FONT)
        for line, (model, colour) in enumerate(self.colours.items(), 1):
            top = MARGIN // 2 + LINE * line
            canvas.rectangle((MARGIN, top, MARGIN + SWATCH, top + SWATCH), colour)
            end = (MARGIN + SWATCH + GAP, top)
            canvas.text(end, self.names[model], INK, font_size=SMALL)

    def _draw_axes(self, canvas: ImageDraw, width: int) -> None:
        """A line for each layer, and what each line and each row of numbers is."""
        middles = {f"layer {n}": self.box(0, n)[1] + ROW // 2 for n in range(self._highest + 1)}
        for middle in middles.values():
            canvas.line((LEFT, middle, width - MARGIN, middle), FAINT)
        middles |= {text: self._below(row) for row, text in enumerate(self._rows)}
        for text, middle in middles.items():
            canvas.text((LEFT - GAP, middle), text, INK, anchor="rm", font_size=SMALL)

    def _draw_path(self, canvas: ImageDraw) -> None:
        """A line from hop to hop."""
        points = []
        for number, hop in enumerate(self.stack):
            left, top, right, bottom = self.box(number, hop.layer)
            points.append(((left + right) // 2, (top + bottom) // 2))
        canvas.line(points, PATH, width=2)

    def _draw_hop(self, canvas: ImageDraw, number: int, hop: Hop) -> None:
        left, top, right, bottom = self.box(number, hop.layer)
        colour = self.colours[hop.model]
        canvas.rectangle((left + INSET, top + INSET, right - INSET, bottom - INSET), colour)
        ink = INK if brightness(colour) > BRIGHT else PAPER
        middle = (left + right) // 2
        centre = (middle, (top + bottom) // 2)
        canvas.text(centre, str(hop.layer), ink, anchor="mm", font_size=SMALL)
        for row, text in enumerate([str(number), scale_text(hop)]):
            canvas.text((middle, self._below(row)), text, INK, anchor="mm", font_size=SMALL)
