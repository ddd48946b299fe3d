"""Everything that ``evomerge inspect --layers`` refuses: what stands there, which words are typed.

The title of each is its row in docs/errors.md.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from evomerge.zoo.small_tokenizers import word_tokenizer
from tests.cli.bad_input import other, recipe, ties
from tests.cli.bad_input_runs import missing
from tests.cli.conftest import WORDS

# Prepares the current folder, and gives what is typed. What it enters ends with the test.
Prepare = Callable[[ExitStack], list[str]]

BAD_LAYERS: dict[str, Prepare] = {}

LOOK = ["inspect", "base", "--layers", "--text", "prose.txt"]


def case(title: str) -> Callable[[Prepare], Prepare]:
    def enter(prepare: Prepare) -> Prepare:
        BAD_LAYERS[title] = prepare
        return prepare

    return enter


def prose() -> None:
    Path("prose.txt").write_text("the cat sat\nthe cat\n")


def cut() -> list[str]:
    """The recipe of a stack."""
    prose()
    recipe(
        "merge_method: passthrough\nslices:\n"
        "  - sources: [{model: base, layer_range: [0, 2]}]\n"
        "  - sources: [{model: maths, layer_range: [1, 2]}]\n"
    )
    return ["inspect", "recipe.yaml", "--layers", "--text", "prose.txt"]


@case("what asks for layers, without --layers")
def _(_: ExitStack) -> list[str]:
    return ["inspect", "base", "--against", "maths"]


@case("a score of seams")
def _(_: ExitStack) -> list[str]:
    return [*cut(), "--tasks", "letters"]


@case("seams of a blend")
def _(_: ExitStack) -> list[str]:
    prose()
    ties()
    return ["inspect", "recipe.yaml", "--layers", "--text", "prose.txt"]


@case("a text that is not there")
def _(_: ExitStack) -> list[str]:
    return LOOK


@case("streams of different widths")
def _(_: ExitStack) -> list[str]:
    prose()
    return [*LOOK, "--against", other("wide", hidden=32)]


@case("streams over different tokens")
def _(_: ExitStack) -> list[str]:
    prose()
    return [*LOOK, "--against", other("swapped", tokenizer=word_tokenizer(WORDS[::-1]))]


@case("a model whose device is unknown")
def _(_: ExitStack) -> list[str]:
    prose()
    return [*LOOK, "--device", "abacus"]


@case("a picture without Pillow")
def _(ending: ExitStack) -> list[str]:
    patch = ending.enter_context(pytest.MonkeyPatch.context())
    patch.setattr("evomerge.inspection.grid.find_spec", missing("PIL"))
    return [*LOOK, "--picture", "layers.png"]


@case("a picture that is no PNG")
def _(_: ExitStack) -> list[str]:
    return [*LOOK, "--picture", "layers.pdf"]


@case("a picture in a folder that is not there")
def _(_: ExitStack) -> list[str]:
    return [*LOOK, "--picture", "pictures/layers.png"]
