"""What a report is made of, however it is shown: headings, paragraphs, tables, code."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True)
class Heading:
    """Begins a part."""

    text: str


@dataclass(frozen=True)
class Paragraph:
    """A sentence or more."""

    text: str


@dataclass(frozen=True)
class Table:
    """Rows of cells.

    Attributes:
        headings: one for each column.
        rows: as many cells each.
        numbers: the headings of the columns that are set flush right.
    """

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Code:
    """Lines that are to be copied as they are."""

    text: str


Block: TypeAlias = Heading | Paragraph | Table | Code


def table(
    headings: Sequence[str], rows: Iterable[Sequence[str]], *, words: Sequence[str] = ()
) -> Table:
    """A table in which all columns hold numbers but ``words``."""
    numbers = tuple(heading for heading in headings if heading not in words)
    return Table(tuple(headings), tuple(map(tuple, rows)), numbers)


def part(heading: str, *blocks: Block) -> Iterator[Block]:
    """A heading and what stands below it; nothing where that is only empty tables."""
    filled = [block for block in blocks if not isinstance(block, Table) or block.rows]
    if filled:
        yield Heading(heading)
        yield from filled
