"""Data of a recipe in a config: their paths count from the folder of the config, as models' do."""

from __future__ import annotations

from pathlib import Path

from evomerge.config.reading import data_files, located_in


def located(folder: Path, recipe):
    config = {
        "models": {"a": "models/a"},
        "recipe": recipe,
        "evaluators": {"cost": {"name": "cost"}},
        "objectives": "min cost.parameters",
        "budget": {"trials": 1},
    }
    return located_in(config, folder / "config.yaml", folder)


def test_files_of_data_count_from_the_folder_of_the_config(tmp_path):
    data = {"file": "texts.jsonl", "items": 5}
    body = {"merge_method": "fisher", "models": [{"model": "a", "data": data}], "data": data}
    found = located(tmp_path, {"choose": {"one": body}})
    placed = found.with_data(found.config.recipe)["choose"]["one"]
    expected = {"file": str(tmp_path / "texts.jsonl"), "items": 5}
    assert placed["data"] == placed["models"][0]["data"] == expected
    assert body["data"]["file"] == "texts.jsonl"


def test_one_hole_with_two_places_stays_one_beside_data(tmp_path):
    hole = {"search": [0, 1]}
    models = [{"model": alias, "parameters": {"weight": hole}} for alias in ("a", "b")]
    tree = {"merge_method": "fisher", "models": models, "data": {"file": "texts.jsonl"}}
    placed = located(tmp_path, tree).with_data(tree)["models"]
    assert placed[0]["parameters"]["weight"] is placed[1]["parameters"]["weight"]


def test_what_is_no_data_is_left_alone(tmp_path):
    tree = {"merge_method": "linear", "parameters": {"data": 1}, "data": ["file"]}
    assert located(tmp_path, {**tree}).with_data(tree) == tree


def test_the_files_of_all_bodies_are_found_once(tmp_path):
    one, other = ({"file": f"{name}.jsonl"} for name in ("one", "other"))
    body = {"merge_method": "fisher", "models": [{"model": "a", "data": other}], "data": one}
    assert data_files({"choose": {"x": body, "y": {"data": one}}}) == ("one.jsonl", "other.jsonl")
    assert data_files({"merge_method": "linear", "data": "one.jsonl"}) == ()


def test_the_text_of_an_alignment_counts_from_there_too(tmp_path):
    way = {"method": "activation_matching", "data": "probe.txt"}
    body = {
        "merge_method": "linear",
        "models": [{"model": "a", "align": {"choose": ["none", way]}}],
    }
    found = located(tmp_path, body)
    (entry,) = found.with_data(found.config.recipe)["models"]
    assert entry["align"]["choose"][1]["data"] == str(tmp_path / "probe.txt")
    assert data_files(body) == ("probe.txt",)
