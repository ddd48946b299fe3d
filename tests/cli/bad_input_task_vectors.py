"""What ``evomerge task-vectors`` refuses: what stands there, which words are typed.

The title of each is its row in docs/errors.md.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from evomerge.zoo.small_tokenizers import word_tokenizer
from tests.cli.bad_input import UP, broken, change_tensors, other
from tests.cli.conftest import WORDS

# Prepares the current folder, and gives what is typed.
Prepare = Callable[[], list[str]]

BAD_TASK_VECTORS: dict[str, Prepare] = {}


def case(title: str) -> Callable[[Prepare], Prepare]:
    def enter(prepare: Prepare) -> Prepare:
        BAD_TASK_VECTORS[title] = prepare
        return prepare

    return enter


def from_base(*models: str) -> list[str]:
    return ["task-vectors", "base", *models]


@case("a task vector of the base")
def _() -> list[str]:
    return from_base("maths", "base")


@case("a task vector twice")
def _() -> list[str]:
    return from_base("maths", "code", "maths")


@case("a task vector across architectures")
def _() -> list[str]:
    return from_base("maths", other("foreign", "qwen2"))


@case("a task vector across depths")
def _() -> list[str]:
    return from_base("maths", other("deep", layers=3))


@case("a task vector across shapes")
def _() -> list[str]:
    return from_base("maths", other("wide", hidden=32))


@case("a task vector across vocabularies")
def _() -> list[str]:
    return from_base("maths", other("talkative", tokenizer=word_tokenizer((*WORDS, "dog"))))


@case("a task vector from NaN")
def _() -> list[str]:
    def spoil(tensors: dict[str, np.ndarray]) -> None:
        tensors[UP][3, 4] = np.nan

    change_tensors(broken(), spoil)
    return from_base("maths", "broken")


@case("a picture of task vectors that is no PNG")
def _() -> list[str]:
    return [*from_base("maths"), "--picture", "vectors.pdf"]
