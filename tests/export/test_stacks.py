"""Promises of exported stacks: what mergekit can follow is stock, and what it cannot says so."""

from __future__ import annotations

import pytest

from evomerge.evidence import evidence_of
from evomerge.export import export
from evomerge.families import FAMILIES
from evomerge.recipe import ModelReference, Recipe
from evomerge.stacks import Hop, slices_of, stack_of
from tests.report.studies import Book

A, B = ModelReference("/models/a"), ModelReference("/models/b")
STACK = (Hop(A, 0), Hop(B, 1, 0.8), Hop(B, 1), Hop(A, 2, 1.25))
PLAIN = tuple(Hop(hop.model, hop.layer) for hop in STACK)
NAMED = {family.name: family for family in FAMILIES}


@pytest.fixture(scope="module")
def book(module_folder) -> Book:
    return Book(module_folder / "run")


@pytest.mark.parametrize(
    ("family", "stack", "ours"),
    [
        ("Llama", STACK, None),
        ("GPT-2", STACK, None),
        ("OLMo 2", STACK, None),
        ("Gemma 2", PLAIN, None),
        ("Gemma 2", STACK, "gain: 1.25"),
        ("Gemma 3", STACK, "gain: 1.25"),
    ],
)
def test_only_gains_that_are_stored_as_differences_are_ours(book, family, stack, ours):
    slices = slices_of(stack, A, NAMED[family])
    tree = {"merge_method": "passthrough", "slices": slices}
    trial = book.add(recipe=tree, answers=book.answers(0.5, 0.5))
    leaving = export(book.study, trial, evidence_of(book.study, draws=50))
    remark = f"mergekit does not know {ours}: it ignores or refuses that."
    assert [each.startswith(remark) for each in leaving.remarks] == [True] * (ours is not None)
    assert stack_of(Recipe.parse(leaving.text).tree()["slices"], NAMED[family]) == (stack, A)
