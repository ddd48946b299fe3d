"""Promises of the picture of a stack: each hop stands at its layer, in the colour of its model."""

from __future__ import annotations

from pathlib import Path

import pytest

from evomerge.errors import OutputError
from evomerge.inspection.grid import PAPER
from evomerge.inspection.stack_picture import COLOURS, LINE, PLAIN, SCALED, StackPicture
from evomerge.recipe import ModelReference
from evomerge.report.stack_lines import short_names
from evomerge.stacks import Hop

pytest.importorskip("PIL", reason="pictures need the report extra")

from PIL import Image

BASE, MATHS = map(ModelReference, ["zoo/base", "zoo/maths"])
STACK = (Hop(BASE, 0), Hop(MATHS, 1), Hop(MATHS, 1, 0.75), Hop(BASE, 2))


def of(stack) -> StackPicture:
    return StackPicture(stack, BASE, short_names([BASE, MATHS]))


def drawn(folder: Path, stack) -> Image.Image:
    of(stack).draw(folder / "stack.png")
    return Image.open(folder / "stack.png").convert("RGB")


def corner(picture: StackPicture, number: int, layer: int) -> tuple[int, int]:
    """A place in the box of a hop where nothing is written."""
    left, top, _, _ = picture.box(number, layer)
    return left + 3, top + 3


def dark(image: Image.Image, box: tuple[int, int, int, int]) -> bool:
    """Whether something is written in a part of the picture."""
    return any(pixel != PAPER for _, pixel in image.crop(box).getcolors(2**16))


def test_each_hop_stands_at_its_layer_in_the_colour_of_its_model(tmp_path):
    image, picture = drawn(tmp_path, STACK), of(STACK)
    colours = {BASE: COLOURS[0], MATHS: COLOURS[1]}
    assert picture.colours == colours
    for number, hop in enumerate(STACK):
        for layer in range(3):
            wanted = colours[hop.model] if layer == hop.layer else PAPER
            assert image.getpixel(corner(picture, number, layer)) == wanted


def test_hops_run_to_the_right_and_layers_upwards():
    picture = of(STACK)
    assert picture.box(1, 0)[0] == picture.box(0, 0)[2]
    assert picture.box(0, 1)[3] == picture.box(0, 0)[1]


def test_only_a_scale_other_than_one_is_written(tmp_path):
    image, picture = drawn(tmp_path, STACK), of(STACK)
    left, _, right, bottom = picture.box(0, 0)
    rows = [(left, bottom + LINE, right, bottom + 2 * LINE)]
    rows += [(left + n * SCALED, *rows[0][1:2], right + n * SCALED, rows[0][3]) for n in (1, 2, 3)]
    assert [dark(image, row) for row in rows] == [False, False, True, False]


def test_it_is_as_wide_as_its_hops_and_as_high_as_its_layers(tmp_path):
    sizes = [drawn(tmp_path, tuple(Hop(BASE, 0) for _ in range(n))).size for n in (40, 60)]
    assert sizes[1][0] - sizes[0][0] == 20 * PLAIN
    assert sizes[1][1] == sizes[0][1]
    deep = drawn(tmp_path, tuple(Hop(BASE, n) for n in range(40)))
    assert deep.size[0] == sizes[0][0]
    assert deep.size[1] > sizes[0][1]


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "stack.png").mkdir()
    with pytest.raises(OutputError, match=r"stack\.png: cannot be written: Is a directory"):
        of(STACK).draw(tmp_path / "stack.png")
