"""Promises of the model card: the hub reads it, and it tells what was merged."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import yaml
from huggingface_hub import ModelCard, ModelCardData

from evomerge.checkpoint.card import model_card, write_card
from evomerge.recipe.document import Recipe

TEXT = """\
# My best merge: 日本語
merge_method: ties
base_model: org/base
models:
  - model: org/words@v1+someone/adapter
    parameters: {weight: 0.5, density: [0.1, 0.9]}
  - model: FOLDER
    parameters: {weight: 0.5}
dtype: bfloat16
"""


def recipe_text(tmp_path):
    folder = tmp_path / "private" / "sums"
    folder.mkdir(parents=True, exist_ok=True)
    return TEXT.replace("FOLDER", str(folder))


def card_of(tmp_path, name="out"):
    text = recipe_text(tmp_path)
    return model_card(Recipe.parse(text), name=name, text=text)


def test_the_hub_reads_what_huggingface_hub_would_write(tmp_path):
    text = card_of(tmp_path)
    card = ModelCard(text)
    assert str(card) == text
    expected = ModelCardData(
        base_model=["org/words", "someone/adapter", "sums", "org/base"],
        library_name="transformers",
        tags=["mergekit", "merge", "evomerge"],
        base_model_relation="merge",
    )
    assert card.data.to_dict() == expected.to_dict()
    assert card.data.to_yaml() == expected.to_yaml(original_order=list(card.data.to_dict()))


def test_the_card_names_all_methods():
    tree = {
        "merge_method": [{"filter": "mlp", "value": "ties"}, {"value": "linear"}],
        "models": [{"model": "org/words"}],
    }
    assert "by the methods `ties`, `linear`." in model_card(
        Recipe.from_tree(tree), name="out", text=""
    )


def test_the_card_shows_the_method_the_models_and_the_recipe(tmp_path):
    body = ModelCard(card_of(tmp_path, "my-merge")).text
    assert body.startswith("\n# my-merge\n")
    assert "by the method `ties`, with [org/base](https://huggingface.co/org/base) as the" in body
    assert "* [org/words@v1](https://huggingface.co/org/words) + [someone/adapter](" in body
    assert "* `sums`" in body
    shown = body.split("```yaml\n")[1].split("```")[0]
    assert Recipe.parse(shown) == Recipe.parse(recipe_text(tmp_path))


def test_folders_of_this_machine_are_not_shown_outside_the_recipe(tmp_path):
    card = card_of(tmp_path)
    assert "private" not in card.split("```yaml")[0]


def test_the_recipe_is_kept_to_the_letter_for_mergekit(tmp_path):
    text = recipe_text(tmp_path)
    write_card(tmp_path, Recipe.parse(text), name="out", text=text)
    assert (tmp_path / "mergekit_config.yml").read_text("utf-8") == text
    assert ModelCard.load(tmp_path / "README.md").data.library_name == "transformers"
    assert yaml.safe_load((tmp_path / "mergekit_config.yml").read_text("utf-8"))


def test_a_merge_without_a_base_names_none():
    text = "merge_method: linear\nmodels:\n  - {model: gpt2, parameters: {weight: 1}}\n"
    card = ModelCard(model_card(Recipe.parse(text), name="out", text=text))
    assert "as the base" not in card.text
    assert card.data.base_model == ["gpt2"]


def test_the_card_needs_no_slow_library():
    program = (
        "import sys; import evomerge.checkpoint.card, evomerge.checkpoint.chat_template\n"
        "import evomerge.checkpoint.vocabulary, evomerge.checkpoint.writer\n"
        "slow = {'torch', 'transformers', 'tokenizers', 'huggingface_hub', 'jinja2'}\n"
        "sys.exit(' '.join(slow & set(sys.modules)))"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=False
    )
    assert done.stderr.strip() == ""
