"""Recipes as people write them: precedence, filters, bases of slices, mixed models, odd stacks."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.parity.conftest import Zoo
from tests.parity.side_by_side import assert_same, follow

pytestmark = pytest.mark.parity

# Where mergekit leaves config.json as it was, though it is no longer so.
TIED = ("tie_word_embeddings",)

PARAMETERS = {
    "a model's own value comes before the slice's, and that before the recipe's": """
        merge_method: linear
        parameters: {weight: 0.9, normalize: false}
        slices:
          - sources:
              - {model: llama/expert_1, layer_range: [0, 2], parameters: {weight: 0.2}}
              - {model: llama/expert_2, layer_range: [0, 2]}
            parameters: {weight: 0.5}
          - sources:
              - {model: llama/expert_1, layer_range: [2, 4]}
              - {model: llama/expert_2, layer_range: [2, 4], parameters: {weight: [0.1, 0.6]}}
            parameters: {normalize: true}
    """,
    "what no filter of a model matches falls through": """
        merge_method: task_arithmetic
        base_model: llama/base
        parameters: {weight: [{filter: norm, value: 2}, {filter: embed, value: 3}, {value: 0.1}]}
        models:
          - {model: llama/expert_1, parameters: {weight: [{filter: mlp, value: [1, 0]}]}}
          - {model: llama/expert_2, parameters: {weight: {filter: self_attn, value: 0.5}}}
    """,
    "the first filter that matches decides": """
        merge_method: linear
        models:
          - model: llama/expert_1
            parameters:
              weight:
                - {filter: mlp.gate, value: 0.1}
                - {filter: mlp, value: 0.7}
                - {filter: mlp.down, value: 5}
                - {value: 0.5}
          - {model: llama/expert_2, parameters: {weight: 1}}
    """,
    "filters of a model see its own layers, filters of all see the output's": """
        merge_method: ties
        base_model: llama/base
        parameters:
          lambda: [{filter: layers.0., value: 0.5}, {filter: layers.1., value: 2}, {value: 1}]
          normalize: [{filter: layers.0.mlp, value: false}, {value: true}]
        slices:
          - sources:
              - {model: llama/base, layer_range: [1, 3]}
              - model: llama/expert_1
                layer_range: [2, 4]
                parameters:
                  density: 0.6
                  weight: [{filter: layers.1, value: 9}, {filter: layers.3, value: 0.2}, {value: 1}]
              - model: llama/expert_2
                layer_range: [1, 3]
                parameters:
                  density: [{filter: layers.1., value: 0.3}, {value: 0.8}]
                  weight: [{filter: layers.1, value: 0.4}, {filter: layers.3, value: 9}, {value: 1}]
    """,
    "slerp as in everybody's example": """
        merge_method: slerp
        base_model: llama/base
        slices:
          - sources:
              - {model: llama/base, layer_range: [0, 4]}
              - {model: llama/expert_1, layer_range: [0, 4]}
        parameters:
          t:
            - {filter: self_attn, value: [0, 0.5, 0.3, 0.7, 1]}
            - {filter: mlp, value: [1, 0.5, 0.7, 0.3, 0]}
            - {value: 0.5}
    """,
    "gradients over twelve layers": """
        merge_method: dare_linear
        base_model: deep/base
        models:
          - {model: deep/expert_1, parameters: {weight: [0, 1, 0.2, 0.8, 0.1], density: 1}}
          - {model: deep/expert_2, parameters: {weight: [0.3, 0.6]}}
    """,
    "flags over layers": """
        merge_method: linear
        parameters: {normalize: [true, false, true], weight: "1e-1"}
        models: [{model: deep/expert_1}, {model: deep/expert_2}, {model: deep/expert_3}]
    """,
    "an empty gradient says nothing": """
        merge_method: linear
        parameters: {weight: 0.4}
        models:
          - {model: llama/expert_1, parameters: {weight: []}}
          - {model: llama/expert_2, parameters: {weight: 0.8}}
    """,
    "parameters of models that are the base are ignored": """
        merge_method: ties
        base_model: llama/base
        models:
          - {model: llama/base, parameters: {weight: 7, density: 0.2}}
          - {model: llama/expert_1, parameters: {weight: 0.7, density: 0.4}}
    """,
    "negative lambda and weights beyond one": """
        merge_method: ties
        base_model: llama/base
        parameters: {lambda: -0.7, density: 0.4, weight: 3}
        models:
          - {model: llama/expert_1}
          - {model: llama/expert_2, parameters: {weight: -2.5}}
          - {model: llama/expert_3}
    """,
}

STACKS = {
    "a base for one slice": """
        merge_method: task_arithmetic
        base_model: llama/base
        parameters: {weight: 0.5}
        slices:
          - sources:
              - {model: llama/expert_1, layer_range: [0, 2]}
              - {model: llama/base, layer_range: [0, 2]}
          - base_model: llama/expert_3
            sources:
              - {model: llama/expert_2, layer_range: [2, 4]}
              - {model: llama/expert_3, layer_range: [2, 4]}
    """,
    "a frankenmerge": """
        merge_method: passthrough
        slices:
          - sources: [{model: llama/expert_1, layer_range: [0, 3]}]
          - sources: [{model: llama/expert_2, layer_range: [1, 4]}]
          - sources: [{model: llama/expert_1, layer_range: [3, 4]}]
    """,
    "one layer over and over, scaled": """
        merge_method: passthrough
        slices:
          - sources: [{model: deep/base, layer_range: [0, 6]}]
          - sources:
              - model: deep/base
                layer_range: [5, 6]
                parameters: {scale: [{filter: o_proj, value: 0.5}, {filter: down_proj, value: 0}]}
          - sources: [{model: deep/base, layer_range: [5, 6]}]
          - sources: [{model: deep/base, layer_range: [5, 12]}]
    """,
    "a head from another model": """
        merge_method: passthrough
        slices:
          - sources: [{model: llama/expert_1, layer_range: [0, 4]}]
          - sources: [{model: llama/expert_2, layer_range: [4, 4]}]
    """,
    "an embedding from another model": """
        merge_method: passthrough
        slices:
          - sources: [{model: llama/expert_2, layer_range: [0, 0]}]
          - sources: [{model: llama/expert_1, layer_range: [0, 4]}]
    """,
    "fewer models in the last slice": """
        merge_method: linear
        parameters: {weight: 0.5}
        slices:
          - sources:
              - {model: llama/expert_1, layer_range: [0, 2]}
              - {model: llama/expert_2, layer_range: [1, 3]}
          - sources: [{model: llama/expert_3, layer_range: [2, 4]}]
    """,
    "other layers of every model": """
        merge_method: karcher
        slices:
          - sources:
              - {model: deep/expert_1, layer_range: [0, 3]}
              - {model: deep/expert_2, layer_range: [9, 12]}
              - {model: deep/expert_3, layer_range: [4, 7]}
    """,
    "a stack of a tied and an untied model": """
        merge_method: passthrough
        slices:
          - sources: [{model: tied/expert_1, layer_range: [0, 3]}]
          - sources: [{model: llama/expert_2, layer_range: [1, 4]}]
    """,
    "a stack of an untied and a tied model": """
        merge_method: passthrough
        slices:
          - sources: [{model: llama/expert_2, layer_range: [0, 3]}]
          - sources: [{model: tied/expert_1, layer_range: [1, 4]}]
    """,
}

MODELS = {
    "a tied base and an untied model": """
        merge_method: slerp
        base_model: tied/base
        models: [{model: tied/base}, {model: llama/expert_1}]
        parameters: {t: [{filter: lm_head, value: 0.2}, {filter: embed, value: 0.9}, {value: 0.6}]}
    """,
    "a lent embedding is a head to filters": """
        merge_method: ties
        base_model: llama/base
        parameters: {density: [{filter: embed, value: 0.2}, {filter: lm_head, value: 0.7}]}
        models:
          - model: tied/expert_1
            parameters:
              weight: [{filter: lm_head, value: 3}, {filter: embed, value: 0.5}, {value: 1}]
          - {model: llama/expert_2, parameters: {weight: [{filter: embed, value: 2}, {value: 1}]}}
    """,
    "a base listed in the middle": """
        merge_method: task_arithmetic
        base_model: llama/base
        parameters: {weight: 0.5}
        models: [{model: llama/expert_1}, {model: llama/base}, {model: llama/expert_2}]
    """,
    "an unlisted base is one of the models of a mean": """
        merge_method: karcher
        base_model: llama/base
        models: [{model: llama/expert_1}, {model: llama/expert_2}]
    """,
    "an unlisted base takes the weight of all": """
        merge_method: linear
        base_model: llama/base
        parameters: {weight: 0.2}
        models: [{model: llama/expert_1, parameters: {weight: 0.4}}, {model: llama/expert_2}]
    """,
    "only the base": """
        merge_method: linear
        base_model: llama/base
        models: [{model: llama/base, parameters: {weight: 0.3}}]
    """,
    "a model and its shards": """
        merge_method: ties
        base_model: llama/base
        parameters: {weight: 1, density: 0.3}
        models: [{model: sharded/expert_1}, {model: llama/expert_2}]
    """,
}


@pytest.mark.parametrize("text", [pytest.param(v, id=k) for k, v in PARAMETERS.items()])
def test_parameters_are_looked_up_alike(tmp_path: Path, zoo: Zoo, text: str):
    assert_same(follow({**zoo(text), "dtype": "float32"}, tmp_path))


@pytest.mark.parametrize("text", [pytest.param(v, id=k) for k, v in STACKS.items()])
def test_stacks_are_built_alike(tmp_path: Path, zoo: Zoo, text: str):
    pair = follow({**zoo(text), "dtype": "float32"}, tmp_path)
    mixed = "tied/" in text
    # mergekit writes no head where the last model is tied, whatever the first one is.
    assert_same(pair, config=TIED * mixed, left_out=("lm_head.weight",) * mixed)
    assert pair.ours.config["num_hidden_layers"] == pair.theirs.config["num_hidden_layers"]


@pytest.mark.parametrize("text", [pytest.param(v, id=k) for k, v in MODELS.items()])
def test_models_play_the_same_parts(tmp_path: Path, zoo: Zoo, text: str):
    pair = follow({**zoo(text), "dtype": "float32"}, tmp_path)
    assert_same(pair, config=TIED if "tied/" in text else ())


def test_eleven_models_are_merged_alike(tmp_path: Path, zoo: Zoo):
    names = [
        f"{kind}/{n}" for kind in ("llama", "sharded") for n in ("base", "expert_1", "expert_2")
    ]
    names += [f"{kind}/expert_3" for kind in ("llama", "sharded")]
    names += [f"tied/{n}" for n in ("base", "expert_1", "expert_2", "expert_3")]
    models = [
        {"model": name, "parameters": {"weight": 0.1 + 0.07 * i, "density": 0.25 + 0.06 * i}}
        for i, name in enumerate(names[1:])
    ]
    tree = {"merge_method": "ties", "base_model": names[0], "models": models, "dtype": "float32"}
    assert len(models) == 11
    assert_same(follow(zoo(tree), tmp_path), config=TIED)
