"""What is not a recipe is refused with one message: where, what was found, what is expected."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evomerge.errors import RecipeError
from evomerge.recipe import Recipe

BODY = "models: [{model: a, parameters: {weight: 1}}, {model: b}]\nmerge_method: linear\n"


def message(text):
    with pytest.raises(RecipeError) as error:
        Recipe.parse(text)
    return str(error.value)


@pytest.mark.parametrize(
    ("text", "path", "key", "nearest"),
    [
        (BODY + "seeed: 3", "", "seeed", "seed"),
        ("models: [{modle: a}]\nmerge_method: x", ".models.0", "modle", "model"),
        ("slices: [{source: []}]\nmerge_method: x", ".slices.0", "source", "sources"),
        (BODY + "parameters: {t: [{fliter: a, value: 1}]}", ".parameters.t.0", "fliter", "filter"),
        (BODY + "tokenizer: {sorce: base}", ".tokenizer", "sorce", "source"),
        (BODY + "tokenizer: {tokens: {<s>: {frce: on}}}", ".tokenizer.tokens.<s>", "frce", "force"),
        (BODY + "base_model: {modle: a}", ".base_model", "modle", "model"),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest_one_and_the_others(text, path, key, nearest):
    found, available = message(text).splitlines()
    assert found == f"recipe{path}: unknown key '{key}'; did you mean '{nearest}'?"
    assert nearest in available


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "recipe: found None; expected a mapping with the keys models, slices, merge_method"),
        ("[1]", "recipe: found [1]; expected a mapping"),
        ("merge_method: x", "recipe: found neither models nor slices; give exactly one of them"),
        ("merge_method: x\nmodels: []", "recipe: found neither models nor slices"),
        ("models: [{model: a}]", "recipe.merge_method: missing"),
        ("models: a", "recipe.models: found 'a'; expected a list"),
        ("models: [{}]", "recipe.models.0.model: missing"),
        ("models: [{model: a, revision: b}]", "recipe.models.0: found revision; write it after"),
        ("models: [{model: 3}]", "recipe.models.0.model: 3 is not a model; expected text"),
        ("models: [{model: a+b+c}]", "recipe.models.0.model: model 'a+b+c': more than one '+'"),
        ("slices: [{sources: []}]", "recipe.slices.0.sources: found []; expected at least one"),
    ],
)
def test_a_recipe_needs_models_and_a_method(text, expected):
    assert message(text).startswith(expected)


@pytest.mark.parametrize("layers", ["[4, 2]", "[-1, 2]", "[0, 2.5]", "[0]", "[0, 1, 2]", "8", "a"])
def test_a_layer_range_is_two_whole_numbers_in_order(layers):
    text = f"merge_method: x\nslices: [{{sources: [{{model: a, layer_range: {layers}}}]}}]"
    path = "recipe.slices.0.sources.0.layer_range"
    assert message(text).startswith(f"{path}: found ")
    assert "expected [first, end]" in message(text)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "slices: [{sources: [{model: a, layer_range: [0, 1]}]}]",
            ": found both models and slices",
        ),
        ("modules: {default: {}}", ": found modules, which are for models of several parts"),
        ("name: first", ": found name, which is for a recipe that others"),
        ("base_model: a@b@c", ".base_model: model 'a@b@c': more than one '@'"),
        ("dtype: bfloat61", ".dtype: unknown dtype 'bfloat61'; did you mean 'bfloat16'?"),
        ("out_dtype: int4", ".out_dtype: unknown dtype 'int4'"),
        ("dtype: 16", ".dtype: found 16; expected text"),
        ("seed: 1.5", ".seed: found 1.5; expected a whole number"),
        ("chat_template: 1", ".chat_template: found 1; expected text"),
        ("parameters: 3", ".parameters: found 3; expected a mapping"),
        ("parameters: {3: 3}", ".parameters.3: found 3; expected text"),
        ("parameters: {t: }", ".parameters.t: found None; expected a number"),
        ("parameters: {t: [0, [1]]}", ".parameters.t.1: found [1]; expected a number"),
        ("parameters: {t: .nan}", ".parameters.t: found nan; expected a finite number"),
        ("parameters: {t: [{filter: a}]}", ".parameters.t.0.value: missing"),
        ("parameters: {t: [1, {value: 2}]}", ".parameters.t.0: found 1; expected a mapping"),
        ("parameters: {t: [{value: [{value: 2}]}]}", ".parameters.t.0.value.0: found {'value': 2}"),
    ],
)
def test_a_wrong_value_is_named_by_its_path(line, expected):
    assert message(BODY + line).startswith(f"recipe{expected}")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("3", ": 3 is not a model; expected text"),
        ("{kind: nil}", ": found {'kind': 'nil'}; expected a model, {kind: model_token"),
        ("{kind: model_token, token: b}", ".model: missing"),
        ("{kind: model_token, model: a}", ": give exactly one of token and token_id"),
        (
            "{kind: model_token, model: a, token: b, token_id: 1}",
            ": give exactly one of token and token_id",
        ),
        ("{kind: zero, model: a}", ": unknown key 'model'"),
    ],
)
def test_a_token_comes_from_a_model_one_of_its_tokens_or_zero(source, expected):
    text = BODY + f"tokenizer: {{tokens: {{<s>: {{source: {source}}}}}}}"
    assert message(text).startswith(f"recipe.tokenizer.tokens.<s>.source{expected}")


def test_a_tokenizer_is_given_once_and_padded_to_something():
    both = message(BODY + "tokenizer: {}\ntokenizer_source: base")
    assert both == "recipe: found both tokenizer and tokenizer_source; give at most one of them"
    padded = message(BODY + "tokenizer: {pad_to_multiple_of: 0}")
    assert "pad_to_multiple_of: found 0; expected a value greater than 0" in padded


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("models:\n  - model: a\n model: b", "line 3, column 2: "),
        ("models: [", "line 2, column 1: "),
        (BODY + "merge_method: ties", "line 3, column 1: the key 'merge_method' stands twice"),
        ("models: [{model: a,\n model: b}]", "line 2, column 2: the key 'model' stands twice"),
        (BODY + "---\n" + BODY, "line 3, column 1: expected a single document"),
        ("x: !!python/object/apply:os.getcwd []", "line 1, column 4: could not determine a"),
        ("x: 2024-13-45", "not readable as YAML: month must be"),
        ("x: \x01", "not readable as YAML: "),
        ("[" * 100_000, "line 1, column 51: lists and mappings nested too deeply"),
    ],
)
def test_what_is_not_plain_yaml_is_refused_in_one_line(text, expected):
    assert message(text).startswith(f"recipe: {expected}")
    assert len(message(text).splitlines()) == 1


def test_a_list_within_itself_is_refused():
    text = BODY + "parameters: {x: &x [*x]}"
    assert message(text).startswith("recipe.parameters.x.0: found [")


def test_a_long_value_is_cut_short():
    assert len(message(BODY + f"seed: {'x' * 5000}")) < 200


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (BODY + "parameters: {weight: {a: 1}}", "recipe.parameters.weight.0: unknown key 'a'"),
        (BODY + "dtype: x", "recipe.dtype: unknown dtype 'x'"),
        ("a: [", "line 2, column 1: "),
    ],
)
def test_messages_about_a_file_begin_with_its_path(tmp_path, text, expected):
    path = tmp_path / "ties.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError) as error:
        Recipe.read(path)
    assert str(error.value).startswith(f"{path}: {expected}")


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(RecipeError, match=r"gone.yaml: cannot be read: No such file"):
        Recipe.read(tmp_path / "gone.yaml")
    with pytest.raises(RecipeError, match=r"cannot be read: Is a directory"):
        Recipe.read(tmp_path)
    (tmp_path / "model.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecipeError, match=r"model.yaml: not a text file in UTF-8"):
        Recipe.read(tmp_path / "model.yaml")


@given(st.text() | st.text("[]{}:,-&*!|>'\"%@`#?~ \nab01"))
def test_any_text_is_a_recipe_or_a_recipe_error(text):
    with pytest.raises(RecipeError):
        Recipe.parse(text)


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(list(Recipe.model_fields)), json))
def test_any_tree_is_a_recipe_or_a_recipe_error(tree):
    try:
        recipe = Recipe.from_tree(tree)
    except RecipeError:
        return
    assert Recipe.parse(recipe.write()) == recipe


def test_every_parameter_is_found_with_its_path():
    recipe = Recipe.parse("""
        slices:
          - sources:
              - {model: a, layer_range: [0, 1], parameters: {weight: 1}}
              - {model: b, layer_range: [0, 1]}
            parameters: {weight: 2, t: 0}
        merge_method: x
        parameters: {normalize: true, weight: 3}
        """)
    assert recipe.parameter_names() == {
        "weight": (
            "recipe.slices.0.sources.0.parameters.weight",
            "recipe.slices.0.parameters.weight",
            "recipe.parameters.weight",
        ),
        "t": ("recipe.slices.0.parameters.t",),
        "normalize": ("recipe.parameters.normalize",),
    }
    assert [scope.level for scope in recipe.scopes()] == ["source", "slice", "recipe"]
