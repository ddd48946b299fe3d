"""A config from a Python program is what its YAML would be."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from evomerge.config.plain import plain_tree
from evomerge.config.reading import config_of, read_config
from evomerge.errors import RecipeError

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
TREES = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8
)
CONFIG = {
    "models": {"base": "models/base"},
    "recipe": {"merge_method": "linear", "models": []},
    "evaluators": {"prose": {"name": "perplexity", "file": "prose.txt"}},
    "objectives": "prose",
    "budget": {"trials": 3},
}


@given(TREES)
def test_what_is_plain_stays_as_it_is(tree):
    assert plain_tree(tree, "config") == tree


@given(TREES)
def test_yaml_and_json_can_hold_it(tree):
    found = plain_tree({"a": (tree, Path("b"), np.float64(0.5), np.int64(3))}, "config")
    assert json.loads(json.dumps(found)) == {"a": [tree, "b", 0.5, 3]}
    assert yaml.safe_load(yaml.safe_dump(found))["a"][1:] == ["b", 0.5, 3]


def test_numbers_of_other_libraries_become_pythons():
    found = plain_tree([np.float32(0.5), np.int8(3), True], "config")
    assert found == [0.5, 3, True]
    assert [type(each) for each in found] == [float, int, bool]


def test_a_mapping_in_two_places_is_two_mappings():
    hole = {"search": [0, 1]}
    first, second = plain_tree([hole, hole], "config")
    assert first == second == hole
    assert first is not second
    assert first is not hole


def test_what_yaml_cannot_hold_is_refused_with_its_place():
    with pytest.raises(RecipeError, match=r"config\.models\.base\.1: found \{1\}; expected what"):
        plain_tree({"models": {"base": ["a", {1}]}}, "config")


def test_a_mapping_says_what_its_file_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    mapping, file = config_of(CONFIG), read_config(Path("config.yaml"))
    assert mapping.config == file.config
    assert mapping.run == file.run == tmp_path / "run"
    assert mapping.reference("base") == file.reference("base")


def test_its_relative_paths_count_from_where_it_is_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    located = config_of({**CONFIG, "run": PurePosixPath("runs/a"), "folder": "there"})
    monkeypatch.chdir("/")
    assert located.run == tmp_path / "there" / "runs" / "a"


def test_its_recipe_may_stand_in_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recipe.yaml").write_text("merge_method: linear\nmodels: []\n")
    located = config_of({**CONFIG, "recipe": "recipe.yaml"})
    assert located.config.recipe == CONFIG["recipe"]


def test_an_unknown_key_is_named():
    with pytest.raises(RecipeError, match=r"config: unknown key 'modles'; did you mean 'models'\?"):
        config_of({**CONFIG, "modles": {}})
