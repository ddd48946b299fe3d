"""Results on standard output: tables, dressed up on a terminal, plain and aligned elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from evomerge.inspection.grid import Figure


class Form(str, Enum):
    """How results are written."""

    text = "text"
    json = "json"


@dataclass(frozen=True)
class Shown:
    """A part of an answer.

    Attributes:
        text: for standard output.
        figure: for the picture.
    """

    text: str
    figure: Figure


def table(
    headings: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Collection[str] = ()
) -> str:
    """The text of a table, a newline at its end.

    Args:
        headings: one for each column.
        rows: as many cells each.
        numbers: the headings of the columns that are set flush right.
    """
    listed = [list(row) for row in rows]
    flush = [heading in numbers for heading in headings]
    if sys.stdout.isatty():
        return _on_terminal(headings, listed, flush)
    widths = [max(map(len, column)) for column in zip(headings, *listed, strict=True)]
    lines = [
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, flush, strict=True)
        ).rstrip()
        for row in [list(headings), *listed]
    ]
    return "\n".join(lines) + "\n"


def _on_terminal(
    headings: Sequence[str], rows: Iterable[Sequence[str]], flush: Sequence[bool]
) -> str:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    drawn = Table(box=None, pad_edge=False, header_style="bold")
    for heading, right in zip(headings, flush, strict=True):
        side: Literal["left", "right"] = "right" if right else "left"
        drawn.add_column(Text(heading), justify=side, no_wrap=right, overflow="fold")
    for first, *others in rows:
        drawn.add_row(Text(first, style="cyan"), *map(Text, others))
    with console.capture() as text:
        console.print(drawn)
    return text.get()
