"""Promises of curves: lines go where their points are, and axes say where that is."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evomerge.inspection.curves import FIELD, MARKS, Curves, Line, marks
from evomerge.inspection.grid import Grid, draw
from evomerge.inspection.stack_picture import COLOURS

pytest.importorskip("PIL", reason="pictures need the report extra")

from PIL import Image


def drawn(tmp_path, *figures) -> Image.Image:
    draw(figures, tmp_path / "picture.png")
    return Image.open(tmp_path / "picture.png").convert("RGB")


def places(picture, colour, right):
    """Where a colour stands left of the legend: (x, y)."""
    return [
        (x, y)
        for x in range(right)
        for y in range(picture.height)
        if picture.getpixel((x, y)) == colour
    ]


def test_lines_go_through_their_points(tmp_path):
    lines = [Line("falling", [(0, 1), (1, 0)]), Line("level", [(0, 0.5), (1, 0.5)])]
    picture = drawn(tmp_path, Curves("two lines", "share", lines))
    falling = places(picture, COLOURS[0], picture.width - 100)
    level = places(picture, COLOURS[1], picture.width - 100)
    across = max(x for x, _ in falling) - min(x for x, _ in falling)
    assert across == pytest.approx(FIELD[0], abs=8)
    assert max(y for _, y in falling) - min(y for _, y in falling) == pytest.approx(FIELD[1], abs=8)
    assert min(falling)[1] < min(level)[1] < max(falling)[1]
    assert max(y for _, y in level) - min(y for _, y in level) < 8
    middle = (max(y for _, y in falling) + min(y for _, y in falling)) / 2
    assert min(level)[1] == pytest.approx(middle, abs=8)


def test_an_axis_may_be_longer_than_the_lines():
    line = Line("short", [(2, 0.4), (3, 0.5)])
    assert Curves("", "", [line]).ends(1) == (0.4, 0.5)
    assert Curves("", "", [line], up=(0, 1)).ends(1) == (0, 1)
    assert Curves("", "", [line], up=(0, 1)).ends(0) == (2, 3)


def test_one_point_is_drawn_too(tmp_path):
    picture = drawn(tmp_path, Curves("a point", "layer", [Line("alone", [(0, 3.5)])]))
    assert places(picture, COLOURS[0], FIELD[0])


def test_lines_stand_below_grids(tmp_path):
    grid = Grid("numbers", ["a"], ["b"], [[1.0]])
    curves = Curves("a line", "layer", [Line("one", [(0, 0), (1, 1)])])
    both = drawn(tmp_path, grid, curves).height
    assert both > drawn(tmp_path, curves).height > FIELD[1]


@given(st.floats(-1e4, 1e4), st.floats(1e-3, 1e4))
def test_marks_are_round_and_inside(low, size):
    found = [float(mark) for mark in marks(low, low + size)]
    assert 2 <= len(found) <= MARKS + 1
    steps = {round(b - a, 9) for a, b in pairwise(found)}
    assert len({f"{step:.4g}" for step in steps}) == 1
    assert all(low - 1e-3 * size <= mark <= low + 1.001 * size for mark in found)


def test_marks_by_hand():
    assert list(marks(0, 1)) == ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]
    assert list(marks(-1, 3)) == ["-1", "0", "1", "2", "3"]
    assert list(marks(3.79, 4.96)) == ["4.0", "4.5"]
    assert list(marks(0.56, 0.63)) == ["0.56", "0.58", "0.60", "0.62"]
