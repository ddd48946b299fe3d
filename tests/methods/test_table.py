"""Promises of the documentation of methods: it says what the code declares."""

from __future__ import annotations

from pathlib import Path

import pytest

from docs.write_methods import PAGE, with_tables
from evomerge.methods.base import Declaration, Param, merge_methods
from evomerge.methods.table import methods_table, parameters_table

ROOT = Path(__file__).parents[2]

STEPS = object()
NAMED = Param("speed", 0.5, "how ``fast`` [1]", per_model=True, search=(0.0, 1.0))
MODE = Param("mode", True, "which way", options=(True, False, "other"))
WALK = Declaration(
    "walk", STEPS, {"speed": NAMED, "mode": MODE}, "first", (2, 3), "merge", "Walks [2]."
)
RUN = Declaration("run", STEPS, {"speed": NAMED}, "input", (1, None), "merge", "Runs.")


def test_the_page_is_up_to_date():
    page = PAGE.read_text("utf-8")
    assert page == with_tables(page), "run: make fix"


def test_make_fix_brings_it_up_to_date():
    assert "docs/write_methods.py" in (ROOT / "Makefile").read_text("utf-8")


@pytest.mark.parametrize("name", sorted(merge_methods))
def test_every_method_has_a_row_and_a_formula(name):
    assert PAGE.read_text("utf-8").count(f"`{name}`") >= 3


def test_a_row_says_what_was_declared():
    assert methods_table([WALK, RUN]) == (
        "| method | what it does | `base_model` | models | parameters |\n"
        "| --- | --- | --- | --- | --- |\n"
        "| `walk` | Walks | required, one of the models | 2 to 3 | `speed`, `mode` |\n"
        "| `run` | Runs | one of the models, if given | 1 or more | `speed` |\n"
    )


def test_methods_share_the_row_of_a_parameter():
    heads, rule, *rows = parameters_table([WALK, RUN]).splitlines()
    assert heads.count("|") == rule.count("|") == 7
    assert rows == [
        "| `mode` | which way | `true` | `true` `false` `other` | tensor | `walk` |",
        "| `speed` | how `fast` | `0.5` | 0 to 1 | model | `walk`, `run` |",
    ]


def test_parameters_that_differ_have_rows_of_their_own():
    strict = Declaration(
        "strict", STEPS, {"speed": Param("speed", 0.5, required=True)}, "input", (1, 1), "merge", ""
    )
    rows = parameters_table([RUN, strict]).splitlines()[2:]
    assert [row.split(" | ")[2] for row in rows] == ["`0.5`", "required"]
