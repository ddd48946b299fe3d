"""Filters that no tensor has in its name are refused, on the names of real models."""

from __future__ import annotations

import pytest

from evomerge.checkpoint.reader import open_checkpoint
from evomerge.errors import RecipeError
from evomerge.families import family_of
from evomerge.zoo.random_models import Options, random_model
from tests.template.templates import read

SMALL = Options(layers=2, hidden=16, dtype="float32")
TEMPLATE = """
merge_method: linear
models:
  - {model: sums, parameters: {weight: {search: [0, 1], by: [FILTER]}}}
  - {model: words, parameters: {weight: [{filter: FILTER, value: 1}, {value: 0}]}}
"""


def named(folder, family):
    checkpoint = open_checkpoint(str(random_model(folder / family, family, options=SMALL)))
    names = list(checkpoint.names())
    return names, family_of(checkpoint.config, names, family)


@pytest.mark.parametrize(
    "family", ["llama", "gpt2", "gpt_neox", "mixtral", "gemma2", "olmo2", "qwen3_moe", "phi3"]
)
@pytest.mark.parametrize("group", ["attn", "mlp"])
def test_attention_and_mlp_are_found_in_every_family(tmp_path, family, group):
    names, facts = named(tmp_path, family)
    template = read(TEMPLATE.replace("FILTER", group), facts)
    template.check_filters(names, facts)
    (pattern,) = {pattern for pattern, _ in template.filters}
    found = [name for name in names if pattern in name and not facts.is_buffer(name)]
    assert {facts.layer_of(name) for name in found} == {0, 1}
    assert not any("norm" in name.split(".")[-2] and "self_attn" not in name for name in found)


@pytest.mark.parametrize(
    ("wrong", "right"), [("self_atn", "self_attn"), ("upproj", "up_proj"), ("lm_hed", "lm_head")]
)
def test_a_filter_without_tensors_learns_what_there_is(tmp_path, wrong, right):
    names, facts = named(tmp_path, "llama")
    template = read(TEMPLATE.replace("FILTER", wrong), facts)
    with pytest.raises(RecipeError) as error:
        template.check_filters(names, facts)
    first, second = str(error.value).splitlines()
    assert first == (
        f"recipe.models.0.parameters.weight.by: unknown part of a tensor name '{wrong}'; "
        f"did you mean '{right}'?"
    )
    assert second.split("available: ")[1].split(", ") == [
        "down_proj", "embed_tokens", "gate_proj", "input_layernorm", "k_proj", "lm_head", "mlp",
        "norm", "o_proj", "post_attention_layernorm", "q_proj", "self_attn", "up_proj", "v_proj",
    ]  # fmt: skip


def test_the_place_of_a_condition_is_named(tmp_path):
    names, facts = named(tmp_path, "llama")
    template = read("""
        merge_method: linear
        models:
          - {model: words, parameters: {weight: [{value: 1, filter: "*"}, {filter: x, value: 1}]}}
    """)
    with pytest.raises(RecipeError, match=r"^recipe.models.0.parameters.weight.1: unknown part"):
        template.check_filters(names, facts)


def test_a_filter_may_be_any_part_of_a_name(tmp_path):
    names, facts = named(tmp_path, "llama")
    read(TEMPLATE.replace("FILTER", "layers.1."), facts).check_filters(names, facts)
