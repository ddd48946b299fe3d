"""Promises of grids: each cell has the colour of its number, wherever it stands."""

from __future__ import annotations

from importlib import util
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evomerge.errors import MissingExtra, OutputError
from evomerge.inspection import grid
from evomerge.inspection.grid import COLOURS, NO_CELL, Grid, check_drawing, colour_of, draw

pytest.importorskip("PIL", reason="pictures need the report extra")

from PIL import Image


def drawn(tmp_path, *grids: Grid) -> Image.Image:
    draw(grids, tmp_path / "picture.png")
    return Image.open(tmp_path / "picture.png")


def named(values, **more) -> Grid:
    rows, columns = (tuple(map(str, range(n))) for n in (len(values), len(values[0])))
    return Grid("numbers", rows, columns, values, **more)


def colours(picture: Image.Image) -> set[tuple[int, int, int]]:
    """Those of whole cells: what is written is too thin to fill much of the picture."""
    counted = picture.convert("RGB").getcolors(2**24)
    return {colour for count, colour in counted if count > 200}


def test_each_number_has_its_colour(tmp_path):
    found = colours(drawn(tmp_path, named([[0.0, 1.0], [0.5, None]])))
    assert found == {COLOURS[0], COLOURS[-1], COLOURS[2], NO_CELL, grid.PAPER}


def test_cells_stand_in_rows_and_columns(tmp_path):
    values = [[0.0, 0.25, 0.5], [0.75, 1.0, None]]
    picture = drawn(tmp_path, named(values)).convert("RGB")
    runs = []
    for y in range(picture.height):
        row = [picture.getpixel((x, y)) for x in range(picture.width)]
        kept = [colour for colour, other in pairwise([None, *row]) if colour != other]
        cells = [c for c in kept if c in {*COLOURS, NO_CELL}]
        if cells and cells != (runs or [None])[-1]:
            runs.append(cells)
    assert list(COLOURS[:3]) in runs
    assert [COLOURS[3], COLOURS[4], NO_CELL] in runs


def test_a_large_grid_has_smaller_cells_and_no_numbers(tmp_path):
    n = 80
    values = [[(x + y) / (2 * n) for x in range(n)] for y in range(n)]
    picture = drawn(tmp_path, named(values))
    assert 16 * n < picture.width < 16 * n + 150
    assert 16 * n < picture.height < 16 * n + 150


def test_several_grids_stand_below_each_other(tmp_path):
    one = named([[0.0, 1.0]])
    alone, both = drawn(tmp_path, one).size, drawn(tmp_path, one, one).size
    assert both[0] == alone[0]
    assert both[1] > 1.8 * alone[1] - 2 * grid.MARGIN


def test_one_number_alone_is_bright(tmp_path):
    assert COLOURS[-1] in colours(drawn(tmp_path, named([[3.0]])))


@given(st.floats(-10, 10), st.floats(-10, 10), st.floats(0.1, 5))
def test_more_is_brighter_between_the_ends(one, other, width):
    low, high = -width, width
    dark, bright = (sum(colour_of(value, low, high)) for value in sorted((one, other)))
    assert dark <= bright


def test_beyond_the_ends_is_as_the_ends():
    assert colour_of(-5, 0, 1) == COLOURS[0]
    assert colour_of(5, 0, 1) == COLOURS[-1]


def test_without_pillow_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(grid, "find_spec", lambda name: None if name == "PIL" else util)
    with pytest.raises(MissingExtra, match=r"pillow package: pip install 'evomerge\[report\]'"):
        check_drawing(tmp_path / "picture.png", "inspect")


def test_pictures_are_png_in_folders_that_exist(tmp_path):
    check_drawing(tmp_path / "picture.PNG", "inspect")
    with pytest.raises(OutputError, match=r"ends in \.png"):
        check_drawing(tmp_path / "picture.pdf", "inspect")
    with pytest.raises(OutputError, match="there is no folder"):
        check_drawing(tmp_path / "nowhere" / "picture.png", "inspect")


def test_a_picture_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "picture.png").mkdir()
    with pytest.raises(OutputError, match="cannot be written: Is a directory"):
        draw([named([[1.0]])], tmp_path / "picture.png")
