"""The same documents mean the same in mergekit 0.1.5."""

from __future__ import annotations

import math
import warnings
from pathlib import Path

import pytest
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from evomerge.errors import RecipeError
from evomerge.recipe import ModelReference, Recipe
from evomerge.recipe.lookup import as_flag, as_number, as_whole, as_written, look_up_as
from evomerge.recipe.tokenizer import ModelToken
from tests.recipe.strategies import names, recipes

pytestmark = pytest.mark.parity
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    config = pytest.importorskip("mergekit.config")

TENSORS = ["model.layers.0.mlp.up_proj.weight", "model.layers.3.self_attn.q_proj.weight", "norm"]
EXAMPLES = sorted((Path(__file__).parent / "examples").glob("*.yml"))
HEAD = "models: [{model: a}]\nmerge_method: linear\n"

numbers = st.integers(-9, 9) | st.floats(-2, 2) | st.sampled_from(["1e-3", "0.25", " 7 "])
filters = st.sampled_from(["mlp", "self_attn", "layers.3", "q_proj", "*", "", "nowhere", "m*p"])
values = numbers | st.lists(numbers, max_size=5)
conditions = st.builds(
    lambda text, value: {"value": value} if text is None else {"filter": text, "value": value},
    st.none() | filters,
    values,
)
written = values | conditions | st.lists(conditions, min_size=1, max_size=3)
steps = st.integers(1, 40).flatmap(lambda n: st.integers(0, n).map(lambda i: i / n))


def theirs(tree):
    return config.MergeConfiguration.model_validate(tree)


@given(written, st.none() | written, st.none() | written, st.sampled_from(TENSORS), steps)
def test_numbers_are_looked_up_alike(source, piece, whole, tensor, t):
    def parameters(setting):
        return {} if setting is None else {"parameters": {"x": setting}}

    sources = [{"model": "a", "layer_range": [0, 1], **parameters(source)}]
    tree = {
        "slices": [{"sources": sources, **parameters(piece)}],
        "merge_method": "linear",
        **parameters(whole),
    }
    recipe = Recipe.from_tree(tree)
    (only,) = recipe.slices_for({ModelReference("a"): 1})
    scopes = [only.sources[0].settings, only.settings, recipe.parameters]
    their = theirs(tree)
    reader = config.ConfigReader(config=their, t=t).for_out_slice(their.slices[0])
    found = (
        config.evaluate_setting(tensor, scope["x"], t, validate=float)
        for scope in reader.parameter_sources(their.slices[0].sources[0].model)
        if scope and "x" in scope
    )
    expected = next((value for value in found if value is not None), None)
    assert look_up_as(as_number, "x", scopes, tensor, t) == expected


@given(st.lists(st.booleans() | numbers | st.sampled_from("abc"), min_size=1, max_size=5), steps)
def test_mixed_lists_are_looked_up_alike(anchors, t):
    ours = Recipe.from_tree({**yaml.safe_load(HEAD), "parameters": {"x": anchors}}).parameters

    def number_or_itself(value):
        return value if isinstance(value, bool) else as_written(_number(value), "")

    expected = config.evaluate_setting("x", anchors, t, validate=number_or_itself)
    assert look_up_as(as_written, "x", [ours], "x", t) == expected


def _number(value):
    try:
        return float(value)
    except ValueError:
        return value


@pytest.mark.parametrize(
    ("read", "method", "parameters", "kind"),
    [
        (as_number, "linear", {"weight": ...}, float),
        (as_flag, "linear", {"weight": 1, "normalize": ...}, bool),
        (as_whole, "karcher", {"max_iter": ...}, int),
    ],
)
@pytest.mark.parametrize(
    "value", [0, 1, 2, 0.0, 1.0, 0.5, 10.0, True, False, "1", "0", "true", "No", "off", "T", "x"]
)
def test_values_are_read_as_the_same_types(read, method, parameters, kind, value):
    from mergekit.merge_methods import merge_tensors
    from pydantic import TypeAdapter, ValidationError
    from torch import ones

    ours = Recipe.from_tree({**yaml.safe_load(HEAD), "parameters": {"x": value}}).parameters
    try:
        expected = TypeAdapter(kind).validate_python(value)
    except ValidationError:
        with pytest.raises(RecipeError):
            look_up_as(read, "x", [ours], "x", 0.0)
        filled = {name: value if was is ... else was for name, was in parameters.items()}
        with pytest.raises(ValidationError):
            merge_tensors([ones(2)], method, parameters=filled)
        return
    assert look_up_as(read, "x", [ours], "x", 0.0) == expected


@given(recipes)
@settings(max_examples=50)
def test_mergekit_reads_what_we_write(recipe):
    assume(not _stumbles(recipe))
    their = theirs(yaml.safe_load(recipe.write()))
    assert their.merge_method == recipe.merge_method
    ours = [entry.model for entry in recipe.models]
    ours += [source.model for entry in recipe.slices for source in entry.sources]
    listed = [entry.model for entry in their.models or ()]
    listed += [source.model for entry in their.slices or () for source in entry.sources]
    assert [_parts(model) for model in listed] == [
        (m.path, m.revision, m.adapter, m.adapter_revision) for m in ours
    ]


def _stumbles(recipe):
    """mergekit takes the model of a token, too, for a bare path, which must not have two "@"."""
    tokens = (
        recipe.tokenizer.tokens.values() if recipe.tokenizer and recipe.tokenizer.tokens else ()
    )
    sources = [token.source for token in tokens]
    named = [s.model if isinstance(s, ModelToken) else s for s in sources]
    return any(str(model).count("@") > 1 for model in named)


def _parts(model):
    lora = (None, None) if model.lora is None else (model.lora.path, model.lora.revision)
    return model.model.path, model.model.revision, *lora


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_we_read_what_mergekit_writes(path):
    their = theirs(yaml.safe_load(path.read_text()))
    assert Recipe.parse(their.to_yaml()).digest() == Recipe.read(path).digest()


@given(names)
def test_references_are_split_alike(text):
    try:
        ours = ModelReference.parse(text)
    except RecipeError:
        return  # mergekit takes empty paths and revisions; we do not
    from mergekit.common import ModelReference as Theirs

    model = Theirs.model_validate(text)
    assert _parts(model) == (ours.path, ours.revision, ours.adapter, ours.adapter_revision)


@pytest.mark.parametrize("text", ["a@b@c", "a+b+c", "a+b@c@d"])
def test_references_are_refused_alike(text):
    with pytest.raises(RecipeError):
        ModelReference.parse(text)
    with pytest.raises(RuntimeError):
        theirs({"models": [{"model": text}], "merge_method": "linear"})


@pytest.mark.parametrize(
    "line",
    [
        "slices: [{sources: [{model: a, layer_range: [0, 1]}]}]",
        "tokenizer_source: base\ntokenizer: {}",
        "parameters: {x: [1, {value: 2}]}",
        "parameters: {x: [{value: [{value: 2}]}]}",
        "parameters: {x: }",
        "parameters: {x: [[1]]}",
        "models: []",
    ],
)
def test_malformed_documents_are_refused_alike(line):
    tree = {**yaml.safe_load(HEAD), **yaml.safe_load(line)}
    with pytest.raises(RecipeError):
        Recipe.from_tree(tree)
    with pytest.raises((RuntimeError, ValueError)):
        theirs(tree)


def test_mergekit_interpolates_to_the_last_bit_as_we_do():
    anchors = [0.1, 0.7, math.pi]
    ours = Recipe.from_tree({**yaml.safe_load(HEAD), "parameters": {"x": anchors}}).parameters
    for i in range(101):
        t = i / 100
        expected = config.evaluate_setting("x", anchors, t, validate=float)
        assert look_up_as(as_number, "x", [ours], "x", t) == expected
