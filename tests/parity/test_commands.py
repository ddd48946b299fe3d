"""The two commands, as people type them, write the same models."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from evomerge.zoo.random_models import Options, random_siblings
from evomerge.zoo.small_tokenizers import word_tokenizer
from tests.parity.side_by_side import Pair, assert_same, read

pytestmark = pytest.mark.parity

COMMANDS = Path(sys.executable).parent

TIES = """
merge_method: ties
base_model: base
models:
  - {model: expert_1, parameters: {weight: [0.3, 1.0], density: 0.4}}
  - {model: expert_2, parameters: {weight: 0.6, density: [{filter: mlp, value: 0.3}, {value: 1}]}}
parameters: {lambda: 1.1}
dtype: float32
"""
STACK = """
merge_method: passthrough
slices:
  - sources: [{model: expert_1, layer_range: [0, 3]}]
  - sources: [{model: expert_2, layer_range: [1, 4], parameters: {scale: 0.9}}]
dtype: float32
"""
SLERP = """
merge_method: slerp
base_model: base
slices:
  - sources:
      - {model: base, layer_range: [0, 4]}
      - {model: expert_1, layer_range: [0, 4]}
parameters: {t: [{filter: self_attn, value: [0, 0.5, 1]}, {value: 0.5}]}
dtype: float32
out_dtype: bfloat16
"""
STOCK = """
merge_method: model_stock
base_model: base
models: [{model: expert_1}, {model: expert_2}]
parameters: {filter_wise: true}
dtype: float32
"""
# Of numbers that are written in bfloat16, a rounding the other way is one unit in the last place.
ONE_STEP = 2**-7


@pytest.fixture(scope="module")
def models(module_folder: Path) -> Path:
    """A folder with a base and two experts that have a tokenizer."""
    tokenizer = word_tokenizer(["merged", "models", "are", "two", "in", "one"])
    random_siblings(module_folder, count=2, options=Options(layers=4, tokenizer=tokenizer))
    return module_folder


def command(program: str, *words: str, folder: Path) -> str:
    """Runs one of the programs in ``folder`` and returns what it wrote on standard output."""
    done = subprocess.run(
        [str(COMMANDS / program), *words], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def both(recipe: str, models: Path, out: Path) -> Pair:
    (out / "recipe.yaml").write_text(recipe, "utf-8")
    command("evomerge", "merge", str(out / "recipe.yaml"), str(out / "ours"), folder=models)
    by_mergekit(out / "recipe.yaml", out / "theirs", models)
    return Pair(read(out / "ours"), read(out / "theirs"))


def by_mergekit(recipe: Path, out: Path, models: Path) -> None:
    # For its card, mergekit asks the Hugging Face Hub about the models' names.
    words = [str(recipe), str(out), "--no-write-model-card"]
    command("mergekit-yaml", *words, folder=models)


def test_both_commands_write_the_same_model(tmp_path: Path, models: Path):
    assert_same(both(TIES, models, tmp_path))
    names = {file.name for file in (tmp_path / "ours").iterdir()}
    assert names >= {"config.json", "mergekit_config.yml", "README.md", "tokenizer.json"}
    for name in ("tokenizer.json", "tokenizer_config.json"):
        ours, theirs = (
            json.loads((tmp_path / who / name).read_text()) for who in ("ours", "theirs")
        )
        assert ours == theirs
    written = yaml.safe_load((tmp_path / "ours" / "mergekit_config.yml").read_text("utf-8"))
    assert written == yaml.safe_load(TIES)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", [STACK, SLERP, STOCK], ids=["stack", "slerp", "model_stock"])
def test_both_commands_write_the_same_models(tmp_path: Path, models: Path, recipe: str):
    tolerance = ONE_STEP if "bfloat16" in recipe else 1e-5
    assert_same(both(recipe, models, tmp_path), tolerance=tolerance)


@pytest.mark.slow
def test_our_recipe_of_a_model_makes_it_again_with_mergekit(tmp_path: Path, models: Path):
    """What we write as mergekit_config.yml, mergekit follows to the same model."""
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(TIES, "utf-8")
    command("evomerge", "merge", str(recipe), str(tmp_path / "ours"), folder=models)
    by_mergekit(tmp_path / "ours" / "mergekit_config.yml", tmp_path / "theirs", models)
    assert_same(Pair(read(tmp_path / "ours"), read(tmp_path / "theirs")))
