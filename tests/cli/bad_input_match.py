"""Everything that ``evomerge inspect --match`` refuses: what stands there, which words are typed.

The title of each is its row in docs/errors.md.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from evomerge.zoo.random_models import random_model
from evomerge.zoo.small_tokenizers import word_tokenizer
from tests.cli.bad_input import UP, WEIGHTS, broken, other, ties
from tests.cli.conftest import SMALL, WORDS

# Prepares the current folder, and gives what is typed.
Prepare = Callable[[], list[str]]

BAD_MATCHES: dict[str, Prepare] = {}


def case(title: str) -> Callable[[Prepare], Prepare]:
    def enter(prepare: Prepare) -> Prepare:
        BAD_MATCHES[title] = prepare
        return prepare

    return enter


def compare(second: str, *more: str, words: int = 600) -> list[str]:
    """Two models over a text of so many words."""
    chosen = np.random.default_rng(0).choice(WORDS, words)
    Path("words.txt").write_text(" ".join(chosen) + "\n")
    return ["inspect", "base", second, "--match", "--text", "words.txt", "--tokens", "512", *more]


@case("a second model, without --match")
def _() -> list[str]:
    return ["inspect", "base", "code"]


@case("what asks for a match, without --match")
def _() -> list[str]:
    return ["inspect", "base", "--layers", "--points", "9"]


@case("a match of one model")
def _() -> list[str]:
    return ["inspect", "base", "--match"]


@case("a match of a model with itself")
def _() -> list[str]:
    return compare("base")


@case("a match of a recipe")
def _() -> list[str]:
    ties()
    return compare("recipe.yaml")


@case("a match and layers at once")
def _() -> list[str]:
    return compare("code", "--layers")


@case("a score of a match")
def _() -> list[str]:
    return compare("code", "--tasks", "letters")


@case("a match across families")
def _() -> list[str]:
    random_model(Path("foreign"), "gpt2", options=SMALL)
    return compare("foreign")


@case("a match across depths")
def _() -> list[str]:
    return compare(other("deep", layers=3))


@case("a match across vocabularies")
def _() -> list[str]:
    return compare(other("swapped", tokenizer=word_tokenizer(WORDS[::-1])))


@case("a match of mixtures of experts")
def _() -> list[str]:
    for name in ("experts", "others"):
        random_model(Path(name), "mixtral", options=SMALL)
    return ["inspect", "experts", *compare("others")[2:]]


@case("a text that is not there, for a match")
def _() -> list[str]:
    words = compare("code")
    Path("words.txt").unlink()
    return words


@case("too short a text for a match")
def _() -> list[str]:
    return compare("code", words=300)


@case("too few tokens for a match")
def _() -> list[str]:
    return [*compare("code"), "--tokens", "100"]


@case("too few points of a line")
def _() -> list[str]:
    return compare("code", "--points", "2")


@case("units that are not finite")
def _() -> list[str]:
    weights = broken() / WEIGHTS
    tensors = load_file(weights)
    tensors[UP][0, 0] = np.inf
    save_file(tensors, weights, metadata={"format": "pt"})
    return compare("broken")


@case("a match from the base of other models")
def _() -> list[str]:
    return compare("code", "--base", other("wide", hidden=32))


@case("a picture of a match that is no PNG")
def _() -> list[str]:
    return compare("code", "--picture", "match.pdf")
