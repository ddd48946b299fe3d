"""Stacks mean the same to mergekit: repeated, scaled, between the ends of another model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM

from evomerge.api import merge
from evomerge.families import FAMILIES
from evomerge.recipe import ModelReference, Recipe
from evomerge.stacks import Hop, Stack, slices_of
from tests.parity.conftest import Zoo
from tests.parity.side_by_side import Pair, assert_same, by_mergekit, follow
from tests.parity.test_exports import by_mergekit_yaml
from tests.parity.test_families import FIXED_DEPTH, WRONG, as_written_by_mergekit

pytestmark = pytest.mark.parity

KINDS = {
    "llama": "Llama",
    "tied": "Llama",
    "mistral": "Mistral",
    "gpt2": "GPT-2",
    "first_gpt2": "GPT-2",
    "first_gpt_neox": "GPT-NeoX",
    "phi3": "Phi-3",
    "olmo2": "OLMo 2",
}
ONE, TWO, THREE = "expert_1", "expert_2", "expert_3"
# Hops as model, layer and scale.
STACKS = {
    "repeated": [(ONE, 0, 1), (ONE, 1, 1), (ONE, 1, 1), (ONE, 1, 1), (ONE, 2, 1), (ONE, 3, 1)],
    "scaled": [(ONE, 0, 1), (ONE, 1, 0.8), (ONE, 2, 1.3), (ONE, 3, 1)],
    "scaled from the first layer": [(ONE, 0, 0.7), (ONE, 3, 1)],
    "repeated at falling scales": [(ONE, 0, 1), *[(ONE, 1, 0.9)] * 4, (ONE, 3, 1.5)],
    "between the ends of another": [(TWO, 0, 1), (THREE, 1, 0.9), (TWO, 2, 1)],
    "at one end of another": [(ONE, 0, 1), (TWO, 1, 1.2), (TWO, 3, 1.2)],
}
OF_ALL = ("repeated at falling scales", "between the ends of another")
CASES = [(k, s) for k in KINDS for s in STACKS if k in {"llama", "first_gpt2"} or s in OF_ALL]


def tree_of(kind: str, stack: str) -> dict[str, object]:
    family = next(family for family in FAMILIES if family.name == KINDS[kind])

    def model(name: str) -> ModelReference:
        return ModelReference(f"{kind}/{name}")

    hops: Stack = tuple(Hop(model(name), layer, scale) for name, layer, scale in STACKS[stack])
    slices = slices_of(hops, model(ONE), family)
    return {"merge_method": "passthrough", "slices": slices, "dtype": "float32"}


@pytest.mark.parametrize(("kind", "stack"), CASES)
def test_a_stack_has_the_tensors_that_mergekit_makes(
    tmp_path: Path, zoo: Zoo, kind: str, stack: str
):
    pair = follow(zoo(tree_of(kind, stack)), tmp_path)
    assert_same(pair, tolerance=0, ours_as_theirs=as_written_by_mergekit, config=WRONG)


def test_the_program_makes_the_same_of_the_file(tmp_path: Path, zoo: Zoo):
    tree = zoo(tree_of("llama", "between the ends of another"))
    recipe = Recipe.from_tree(tree)
    (tmp_path / "stack.yaml").write_text(recipe.write())
    ours = follow(tree, tmp_path).ours
    theirs = by_mergekit_yaml(tmp_path / "stack.yaml", tmp_path / "by_program")
    assert_same(Pair(ours, theirs), tolerance=0)


@pytest.mark.parametrize("kind", FIXED_DEPTH)
def test_where_mergekit_fails_ours_loads(tmp_path: Path, zoo: Zoo, kind: str):
    """Its config.json keeps a list for the old number of layers."""
    model = {"model": f"{kind}/expert_1"}
    slices = [{"sources": [model | {"layer_range": each}]} for each in ([0, 3], [1, 4])]
    tree = zoo({"merge_method": "passthrough", "slices": slices, "dtype": "float32"})
    with pytest.raises(Exception, match="layer_types"):
        by_mergekit(tree, tmp_path / "theirs")
    out = merge(Recipe.from_tree(tree), tmp_path / "ours")
    config = json.loads((out / "config.json").read_text())
    made = AutoModelForCausalLM.from_pretrained(out)
    assert made.config.num_hidden_layers == len(config["layer_types"]) == 6
