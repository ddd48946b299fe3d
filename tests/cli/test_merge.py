"""Promises of ``evomerge merge``; what it refuses is in test_errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from evomerge.recipe import Recipe
from tests.cli.bad_input import recipe, ties

WEIGHTS = Path("merged/model.safetensors")


def dare() -> None:
    models = "[{model: maths, parameters: {weight: 1, density: 0.5}}]"
    recipe(f"merge_method: dare_linear\nbase_model: base\nmodels: {models}\nseed: 1\n")


def test_a_merge_says_in_one_line_what_it_made(work, evomerge):
    ties()
    assert evomerge("merge", "recipe.yaml", "merged") == (
        0,
        "merged: ties, 21 tensors, 16.6 KB\n",
        "",
    )
    assert WEIGHTS.exists()


def test_a_dry_run_writes_nothing(work, evomerge):
    ties()
    code, out, err = evomerge("merge", "recipe.yaml", "merged", "--dry-run")
    assert (code, err) == (0, "")
    assert out == "recipe.yaml can be merged: ties, 21 tensors, 16.6 KB\n"
    assert not Path("merged").exists()


def test_a_seed_on_the_command_line_is_as_good_as_one_in_the_recipe(work, evomerge):
    dare()
    made = []
    for seed in ([], ["--seed", "1"], ["--seed", "2"]):
        assert evomerge("merge", "recipe.yaml", "merged", "--force", *seed)[0] == 0
        made.append(WEIGHTS.read_bytes())
    assert made[0] == made[1] != made[2]
    assert Recipe.read("merged/mergekit_config.yml").seed == 2


def test_force_replaces_a_model(work, evomerge):
    ties()
    assert evomerge("merge", "recipe.yaml", "merged")[0] == 0
    first = WEIGHTS.read_bytes()
    dare()
    assert evomerge("merge", "recipe.yaml", "merged")[0] == 2
    assert WEIGHTS.read_bytes() == first
    assert evomerge("merge", "recipe.yaml", "merged", "--force")[0] == 0
    assert WEIGHTS.read_bytes() != first


def test_shards_are_as_large_as_asked(work, evomerge):
    ties()
    assert evomerge("merge", "recipe.yaml", "merged", "--shard-size", "4KB")[0] == 0
    shards = list(Path("merged").glob("*.safetensors"))
    assert len(shards) > 3
    assert Path("merged/model.safetensors.index.json").exists()


@pytest.mark.filterwarnings("default")
def test_a_warning_is_one_line_on_standard_error(work, evomerge):
    ties(maths="weight: 1, density: 1.5")
    code, _, err = evomerge("merge", "recipe.yaml", "merged")
    assert code == 0
    assert err.startswith("warning: model.embed_tokens.weight: density 1.5 lies outside [0, 1]")
    assert len(err.splitlines()) == 1
