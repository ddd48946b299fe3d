"""Every form of mergekit's example configurations is read.

The files in ``examples`` have the structure of mergekit's own (its ``examples`` folder, the
configurations in its README and in docs/multimerge.md), with shorter names of models:

- ``linear``: models with a scalar each
- ``ties``: gradients, a conditional list, an unlisted base, flags for the whole recipe
- ``gradient_slerp``: slices, a base among the sources, a conditional list of gradients
- ``passthrough_stack``: lists that are not indented, one source per slice, a scale by filter
- ``task_arithmetic``: revisions, a number that YAML reads as text, a chat template by name
- ``dare_ties``: an adapter, flow mappings, a tokenizer in short, an out_dtype
- ``dare_linear``: parameters at all levels, a base for one slice, a single condition
- ``tokens``: a tokenizer at length, an explicit null, a chat template as text
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from evomerge.errors import RecipeError
from evomerge.recipe import ModelReference, Recipe, look_up
from evomerge.recipe.steps import read_steps
from evomerge.recipe.tokenizer import ModelToken, Token, Tokenizer, Zero

FOLDER = Path(__file__).parent / "examples"
GUIDE = Path(__file__).parents[2] / "docs" / "recipes.md"
EXAMPLES = sorted(FOLDER.glob("*.yml"))
METHODS = [
    "linear",
    "slerp",
    "nuslerp",
    "task_arithmetic",
    "ties",
    "dare_linear",
    "dare_ties",
    "breadcrumbs",
    "breadcrumbs_ties",
    "della",
    "della_linear",
    "model_stock",
    "karcher",
    "multislerp",
    "passthrough",
]


def example(name):
    return Recipe.read(FOLDER / f"{name}.yml")


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_is_read_and_kept(path):
    recipe = Recipe.read(path)
    assert Recipe.parse(recipe.write()) == recipe
    depths = dict.fromkeys(recipe.references(), 40)
    assert sum(len(piece) for piece in recipe.slices_for(depths)) > 0


@pytest.mark.parametrize("method", METHODS)
def test_any_method_is_read(method):
    assert Recipe.parse(f"models: [{{model: a}}]\nmerge_method: {method}").merge_method == method


def test_an_empty_key_is_as_none():
    """As in mergekit's own ties.yml, which ends in a bare ``parameters:``."""
    text = "models: [{model: a}]\nmerge_method: linear\n"
    assert Recipe.parse(f"{text}parameters:\nbase_model:\n") == Recipe.parse(text)


def test_ties_has_gradients_and_a_filter_per_model():
    recipe = example("ties")
    assert recipe.references() == tuple(
        map(ModelReference, ["orca", "platypus", "wizard-math", "llama"])
    )
    orca, platypus, math = (entry.parameters for entry in recipe.models)
    assert look_up("density", [orca], "x", 0.5) == 0.7
    assert look_up("weight", [platypus], "x", 0.5) == pytest.approx(0.5)
    assert look_up("weight", [math], "mlp.up_proj", 0.5) == 0.5
    assert look_up("weight", [math], "self_attn.q_proj", 0.5) == 0.0
    assert look_up("normalize", [math, recipe.parameters], "x", 0.5) is True


def test_slerp_follows_a_gradient_by_filter():
    recipe = example("gradient_slerp")
    values = [look_up("t", [recipe.parameters], name, 0.25) for name in ("self_attn.q", "mlp", "x")]
    assert values == [0.5, 0.5, 0.5]
    assert look_up("t", [recipe.parameters], "mlp", 1.0) == 0.0


def test_a_stack_repeats_layers():
    depths = dict.fromkeys(example("passthrough_stack").references(), 40)
    first, second = example("passthrough_stack").slices_for(depths)
    assert (first.sources[0].layers, second.sources[0].layers) == (range(24), range(20, 40))
    assert look_up("scale", [second.sources[0].settings], "mlp.down_proj", 0.0) == 0.5


def test_parameters_are_looked_up_from_the_source_outwards():
    recipe = example("dare_linear")
    first, second = recipe.slices_for(dict.fromkeys(recipe.references(), 32))

    def value(name, piece, tensor="mlp"):
        scopes = [piece.sources[1].settings, piece.settings, recipe.parameters]
        return look_up(name, scopes, tensor, 0.0)

    assert (value("weight", first), value("weight", second)) == (0.4, 0.6)
    assert (value("density", first), value("density", second)) == (0.9, 0.9)
    assert (value("density", second, "self_attn"), value("rescale", second)) == (None, None)
    assert value("rescale", first) is False


def test_tokens_have_every_kind_of_source():
    chatml = ModelReference("path/to/chatml")
    assert example("tokens").tokenizer == Tokenizer(
        source="union",
        tokens={
            "<|im_start|>": Token(source=chatml),
            "<|eot_id|>": Token(source="path/to/llama3", force=True),
            "<|renamed_token|>": Token(
                source=ModelToken(kind="model_token", model=chatml, token="<|original_token|>")
            ),
            "<|numbered_token|>": Token(
                source=ModelToken(kind="model_token", model=chatml, token_id=1234)
            ),
            "<|unused|>": Token(source=Zero(kind="zero")),
        },
    )


def test_references_have_revisions_and_adapters():
    assert example("task_arithmetic").models[0].model.revision == "v00.02-step-000003660"
    assert example("dare_ties").models[0].model == ModelReference("hermes", None, "lora", "main")


def test_the_recipes_in_the_guide_are_recipes(tmp_path):
    whole, *parts, steps = re.findall(r"```yaml\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
    assert Recipe.parse(whole).seed == 7
    for part in parts:
        models = "" if re.search("^(slices|models):", part, re.M) else "models: [{model: a}]\n"
        method = "" if "merge_method:" in part else "merge_method: linear\n"
        Recipe.parse(f"{models}{part}{method}")
    assert len(parts) == 3
    (tmp_path / "steps.yaml").write_text(steps)
    assert [step.name for step in read_steps(tmp_path / "steps.yaml")] == ["mix", ""]


def test_a_chain_of_merges_is_no_recipe():
    text = (FOLDER / "linear.yml").read_text() + "name: first-merge\n"
    with pytest.raises(RecipeError, match="that others in its file use"):
        Recipe.parse(text)
    with pytest.raises(RecipeError, match="expected a single document"):
        Recipe.parse(text + "---\n" + text)
