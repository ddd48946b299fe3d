"""Every way in which data do not do for a method that looks at them; rows of docs/errors.md."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.cli.bad_input import UP, broken, change_tensors, recipe

Prepare = Callable[[], list[str]]

BAD_DATA: dict[str, Prepare] = {}


def case(title: str) -> Callable[[Prepare], Prepare]:
    def enter(prepare: Prepare) -> Prepare:
        BAD_DATA[title] = prepare
        return prepare

    return enter


def looking(*lines: object, method: str = "regmean", more: str = "", models: str = "") -> list[str]:
    """A merge of ``maths`` and ``code``, with texts of these lines."""
    Path("texts.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    count = len(lines)
    listed = models or "[{model: maths}, {model: code}]"
    given = f"data: {{file: texts.jsonl, items: {count}, length: 8}}\n" if lines else ""
    return recipe(f"merge_method: {method}\nmodels: {listed}\n{given}{more}")


@case("a method without its data")
def _() -> list[str]:
    return looking()


@case("data that are not there")
def _() -> list[str]:
    return looking(more="data: {file: text.jsonl}\n")


@case("an unknown key of the data")
def _() -> list[str]:
    return looking(more="data: {file: texts.jsonl, item: 5}\n")


@case("data that are too short")
def _() -> list[str]:
    words = looking("the cat sat", "the cat")
    text = Path("recipe.yaml").read_text()
    Path("recipe.yaml").write_text(text.replace("items: 2", "items: 20"))
    return words


@case("an item with nothing to predict")
def _() -> list[str]:
    return looking("the cat", "")


@case("text that the tokenizer cannot encode")
def _() -> list[str]:
    return looking("the cat sat", "the dog sat")


@case("data that are not text")
def _() -> list[str]:
    return looking({"question": "the cat?"})


@case("gradients that are not finite")
def _() -> list[str]:
    folder = broken()
    head = np.float32(3e38)
    change_tensors(folder, lambda tensors: tensors["lm_head.weight"].__setitem__(..., head))
    return looking("the cat", method="fisher", models="[{model: maths}, {model: broken}]")


@case("a singular Gram matrix without ridge")
def _() -> list[str]:
    methods = f"[{{filter: {UP}, value: regmean}}, {{value: linear}}]"
    return looking("the cat", method=methods, more="parameters: {weight: 1, alpha: 1, ridge: 0}\n")


@case("data with another vocabulary")
def _() -> list[str]:
    return looking("the cat", more="tokenizer_source: union\n")
