"""What is written is what was read: equal recipes, equal digests, in the form people write."""

from __future__ import annotations

import pickle

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from evomerge.recipe import Recipe
from tests.recipe.strategies import recipes, trees

SLERP = """\
slices:
  - sources:
      - model: orca
        layer_range: [0, 40]
      - model: platypus
        layer_range: [0, 40]
merge_method: slerp
base_model: orca
parameters:
  t:
    - filter: self_attn
      value: [0, 0.5, 0.3, 0.7, 1]
    - value: 0.5
dtype: float16
"""


@given(recipes)
def test_reading_what_was_written_gives_an_equal_recipe(recipe):
    again = Recipe.parse(recipe.write())
    assert again == recipe
    assert again.digest() == recipe.digest()


@given(recipes)
def test_a_recipe_travels_between_processes(recipe):
    assert pickle.loads(pickle.dumps(recipe)) == recipe


@given(trees(), st.randoms())
def test_the_order_of_keys_does_not_change_the_digest(tree, random):
    assert Recipe.from_tree(_shuffled(tree, random)).digest() == Recipe.from_tree(tree).digest()


def _shuffled(value, random):
    if isinstance(value, list):
        return [_shuffled(item, random) for item in value]
    if not isinstance(value, dict):
        return value
    keys = random.sample(list(value), len(value))
    return {key: _shuffled(value[key], random) for key in keys}


def test_a_recipe_written_as_mergekit_writes_its_examples_is_kept_to_the_letter():
    assert Recipe.parse(SLERP).write() == SLERP


def test_a_chat_template_is_written_line_by_line():
    template = "{% for m in messages %}\n  {{ m.content }}\n{% endfor %}\n"
    recipe = Recipe(models=[{"model": "a"}], merge_method="linear", chat_template=template)
    assert "\n  {% for m in messages %}\n" in recipe.write()
    assert Recipe.parse(recipe.write()).chat_template == template


def test_files_are_read_with_or_without_a_byte_order_mark(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text("\ufeff" + SLERP, encoding="utf-8")
    assert Recipe.read(path) == Recipe.parse(SLERP)


def test_a_seed_is_written_when_it_is_not_zero():
    tree = {"models": [{"model": "a"}], "merge_method": "linear"}
    assert "seed" not in Recipe.from_tree({**tree, "seed": 0}).write()
    assert Recipe.from_tree({**tree, "seed": 7}).write().endswith("seed: 7\n")


BODY = "models: [{model: a}, {model: b}]\nmerge_method: linear\n"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("parameters: {weight: 1}", "parameters: {weight: 1.0}"),
        ("parameters: {weight: 1e-3}", "parameters: {weight: 0.001}"),
        ("parameters: {weight: '10'}", "parameters: {weight: 10}"),
        ("parameters: {weight: [0, 0.5]}", "parameters:\n  weight:\n  - -0.0\n  - 5.0e-1  # half"),
        ("parameters: {weight: {value: 1}}", "parameters: {weight: [{value: 1}]}"),
        ("parameters: {weight: {value: 1}}", "parameters: {weight: [{filter: '*', value: 1}]}"),
        ("dtype: bfloat16", "dtype: torch.bfloat16"),
        ("", "seed: 0"),
        ("", "parameters: {}"),
        ("", "parameters:\nbase_model: ~\nslices: []"),
        ("base_model: a@r+b", "base_model: {model: {path: a, revision: r}, lora: b}"),
        ("tokenizer: {source: union}", "tokenizer: {tokens: {}}"),
    ],
)
def test_spelling_does_not_change_the_digest(one, other):
    assert Recipe.parse(BODY + one).digest() == Recipe.parse(BODY + other).digest()


@pytest.mark.parametrize(
    "change",
    [
        "seed: 1",
        "parameters: {weight: 0}",
        "parameters: {weight: 1}",
        "parameters: {weight: true}",
        "parameters: {weight: [1, 0]}",
        "parameters: {weight: [0, 1]}",
        "base_model: a",
        "base_model: a@main",
        "dtype: float16",
        "out_dtype: float16",
        "tokenizer_source: base",
        "tokenizer: {}",
    ],
)
def test_what_a_recipe_says_changes_the_digest(change):
    others = {"", "seed: 1", "parameters: {weight: 1}", "base_model: a"} - {change}
    digest = Recipe.parse(BODY + change).digest()
    assert all(digest != Recipe.parse(BODY + other).digest() for other in others)


def test_the_order_of_models_changes_the_digest():
    swapped = BODY.replace("{model: a}, {model: b}", "{model: b}, {model: a}")
    assert Recipe.parse(BODY).digest() != Recipe.parse(swapped).digest()


def test_a_digest_is_the_same_in_every_process_and_release():
    # Studies store digests: this one must never change.
    assert Recipe.parse(SLERP).digest() == (
        "2131a8b905396cbb95d8bafead185c25551263906b80cc1812cb1f2305716168"
    )


@given(recipes)
def test_any_yaml_reader_reads_what_was_written(recipe):
    assert isinstance(yaml.safe_load(recipe.write()), dict)
