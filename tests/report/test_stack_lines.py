"""Promises of a stack in lines of text: every hop stands there once, with its layer and scale."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evomerge.families import FAMILIES
from evomerge.recipe import ModelReference
from evomerge.report.document import recipe_blocks
from evomerge.report.stack_lines import WIDTH, short_names, stack_text
from evomerge.stacks import Hop, slices_of, stack_in
from tests.report.trials import linear, trial

BASE, MATHS, OTHER = map(ModelReference, ["zoo/base", "zoo/maths", "elsewhere/base"])
SCALABLE = [family for family in FAMILIES if family.residual is not None]
LLAMA = next(family for family in FAMILIES if "LlamaForCausalLM" in family.architectures)
HOPS = st.builds(
    Hop,
    st.sampled_from([BASE, MATHS, OTHER]),
    st.integers(0, 79),
    st.sampled_from([1.0, 1.0, 0.75, 1.3]),
)
STACKS = st.lists(HOPS, min_size=1, max_size=90).map(tuple)


def recipe(stack, anchor=BASE, family=LLAMA):
    return {"merge_method": "passthrough", "slices": slices_of(stack, anchor, family)}


BY_HAND = """\
hop       0     1     2     3
base      0     1     .     3
maths     .     .     2     .
scale              0.75

Embeddings, last norm and head are those of base.
"""


def test_a_stack_by_hand():
    stack = (Hop(BASE, 0), Hop(BASE, 1), Hop(MATHS, 2, 0.75), Hop(BASE, 3))
    assert stack_text(recipe(stack)) == BY_HAND


@given(STACKS, st.sampled_from([BASE, MATHS]))
def test_every_hop_can_be_read_off(stack, anchor):
    text = stack_text(recipe(stack, anchor))
    names = short_names([anchor, *(hop.model for hop in stack)])
    *parts, last = text.split("\n\n")
    read = {}
    for part in parts:
        (_, *numbers), *rows = (line.split() for line in part.splitlines())
        for name, *cells in rows:
            if name != "scale":
                assert len(cells) == len(numbers)
                read |= {
                    int(number): (name, int(cell))
                    for number, cell in zip(numbers, cells, strict=True)
                    if cell != "."
                }
        scales = [line for line in part.splitlines() if line.startswith("scale")]
        wanted = [f"{stack[int(n)].scale:.2f}" for n in numbers if stack[int(n)].scale != 1]
        assert wanted == [text for line in scales for text in line.split()[1:]]
    assert [read[number] for number in range(len(stack))] == [
        (names[hop.model], hop.layer) for hop in stack
    ]
    assert last == f"Embeddings, last norm and head are those of {names[anchor]}.\n"
    assert max(map(len, text.splitlines())) <= WIDTH


@given(STACKS, st.sampled_from(SCALABLE))
def test_a_recipe_is_read_without_knowing_its_family(stack, family):
    found, anchor = stack_in(recipe(stack, OTHER, family))
    assert anchor == OTHER
    assert [(hop.model, hop.layer) for hop in found] == [(hop.model, hop.layer) for hop in stack]
    assert [hop.scale for hop in found] == pytest.approx([hop.scale for hop in stack], rel=1e-5)


@pytest.mark.parametrize(
    "tree",
    [
        linear(0.5),
        {"merge_method": "passthrough", "models": [{"model": "base"}]},
        {**recipe((Hop(BASE, 0),)), "merge_method": "linear"},
        {**recipe((Hop(BASE, 0),)), "parameters": {"scale": 0.5}},
    ],
)
def test_what_is_no_stack_has_no_lines(tree):
    assert stack_text(tree) is None
    assert len(list(recipe_blocks(trial(0, values={}, recipe=tree)))) == 1


def test_a_stack_stands_before_its_recipe():
    drawn, written = recipe_blocks(trial(0, values={}, recipe=recipe((Hop(BASE, 0),))))
    assert drawn.text.startswith("hop ")
    assert "layer_range" in written.text


def test_names_are_as_short_as_they_may_be():
    assert short_names([BASE, MATHS]) == {BASE: "base", MATHS: "maths"}
    assert short_names([BASE, OTHER]) == {BASE: "zoo/base", OTHER: "elsewhere/base"}
    alone, same = ModelReference("base"), ModelReference("zoo/base")
    assert short_names([alone, same]) == {alone: "base", same: "zoo/base"}
