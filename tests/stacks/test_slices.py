"""Promises of stacks: as slices of a recipe they are the same stack."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evomerge.errors import RecipeError
from evomerge.families import FAMILIES
from evomerge.recipe import ModelReference, Recipe
from evomerge.stacks import Hop, slices_of, stack_of

A, B, C = (ModelReference(name) for name in "abc")
NAMED = {family.name: family for family in FAMILIES}
LLAMA, GEMMA, OLMO = NAMED["Llama"], NAMED["Gemma 2"], NAMED["OLMo 2"]

scales = st.just(1.0) | st.floats(0.5, 2.0).map(lambda value: float(f"{value:.6g}"))
hops = st.builds(Hop, st.sampled_from([A, B, C]), st.integers(0, 5), scales)
stacks = st.lists(hops, min_size=1, max_size=40).map(tuple)


@given(stacks, st.sampled_from([A, B]), st.sampled_from(FAMILIES))
def test_slices_say_which_stack_they_are(stack, anchor, family):
    assert stack_of(slices_of(stack, anchor, family), family) == (stack, anchor)


@given(stacks, st.sampled_from([A, B]), st.sampled_from(FAMILIES))
def test_slices_are_those_of_a_recipe_also_when_it_was_written_and_read(stack, anchor, family):
    tree = {"merge_method": "passthrough", "slices": slices_of(stack, anchor, family)}
    again = Recipe.parse(Recipe.from_tree(tree).write()).tree()
    assert stack_of(again["slices"], family) == (stack, anchor)


@given(stacks, st.sampled_from([A, B]))
def test_the_anchor_stands_at_both_ends(stack, anchor):
    first, *_, last = [*slices_of(stack, anchor, LLAMA)] * 2
    assert {first["sources"][0]["model"], last["sources"][0]["model"]} == {anchor.written()}


@given(stacks)
def test_hops_that_follow_each_other_are_one_slice(stack):
    plain = tuple(Hop(hop.model, hop.layer) for hop in stack)
    seams = sum((b.model, b.layer) != (a.model, a.layer + 1) for a, b in pairwise(plain))
    inner = [s for s in slices_of(plain, A, LLAMA) if s["sources"][0]["layer_range"] != [0, 0]]
    assert len(inner) == seams + 1


def test_a_scale_holds_from_its_hop_on():
    found = slices_of((Hop(A, 0), Hop(A, 1, 0.5), Hop(A, 2), Hop(A, 3, 4.0)), A, LLAMA)
    told = [s["sources"][0] for s in found]
    assert [each["layer_range"] for each in told] == [[0, 1], [1, 3], [3, 4]]
    assert [each.get("parameters") for each in told] == [
        None,
        {"scale": [{"filter": part, "value": 2.0} for part in ("o_proj", "down_proj")]},
        {"scale": [{"filter": part, "value": 0.5} for part in ("o_proj", "down_proj")]},
    ]


def test_norms_behind_the_parts_of_a_layer_take_the_scale():
    (_, second) = slices_of((Hop(A, 0), Hop(A, 1, 0.5)), A, GEMMA)
    norms = ("post_attention_layernorm", "post_feedforward_layernorm")
    divided = [{"filter": part, "value": 2.0} for part in norms]
    assert second["sources"][0]["parameters"] == {"gain": divided}
    (_, second) = slices_of((Hop(A, 0), Hop(A, 1, 0.5)), A, OLMO)
    readers = [f"{part}_proj.weight" for part in ("q", "k", "v", "gate", "up")]
    read = [{"filter": part, "value": 0.5} for part in readers]
    assert second["sources"][0]["parameters"] == {"scale": divided + read}


def test_a_stack_without_layers_is_none():
    with pytest.raises(RecipeError, match="no layer in it"):
        slices_of((), A, LLAMA)


def test_a_family_whose_layers_are_not_known_takes_no_scale():
    unknown = NAMED["Llama"].__class__("Strange", ("StrangeForCausalLM",))
    assert slices_of((Hop(A, 0), Hop(B, 0)), A, unknown)
    with pytest.raises(RecipeError, match="Strange: a scale cannot be folded"):
        slices_of((Hop(A, 0), Hop(B, 0, 0.9)), A, unknown)


@pytest.mark.parametrize(
    "slices",
    [
        [],
        [{"sources": [{"model": "a", "layer_range": [0, 0]}]}],
        [{"sources": [{"model": m, "layer_range": [0, 2]} for m in "ab"]}],
        [{"sources": [{"model": "a", "layer_range": [0, 2]}], "merge_method": "linear"}],
        [{"sources": [{"model": "a", "layer_range": [0, 2], "parameters": {"scale": 0.5}}]}],
        [
            {"sources": [{"model": "a", "layer_range": [0, 2]}]},
            {"sources": [{"model": "b", "layer_range": [0, 2]}]},
        ],
    ],
)
def test_other_slices_are_no_stack(slices):
    assert stack_of(slices, LLAMA) is None
