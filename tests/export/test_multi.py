"""Promises of recipes in steps for ``mergekit-multi``; a parity test has it follow them."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from evomerge.evidence import evidence_of
from evomerge.export import Exported, export
from evomerge.export.multi import multi_text, obstacle, parts_of
from evomerge.recipe import Recipe
from tests.report.studies import Book


def entry(first: int, end: int, method: object = None, **more) -> dict:
    sources = [{"model": each, "layer_range": [first, end]} for each in ("base", "words")]
    return {"sources": sources, **({} if method is None else {"merge_method": method}), **more}


def sliced(*slices: dict, **more) -> Recipe:
    tree = {"merge_method": "ties", "base_model": "base", "slices": list(slices)}
    return Recipe.from_tree({**tree, "parameters": {"weight": 1, "density": 0.5}, **more})


MIXED = sliced(entry(0, 2), entry(2, 4, "linear", parameters={"weight": 0.5}), dtype="float32")


BY_FILTER = [{"filter": "mlp", "value": "ties"}, {"value": "linear"}]


def documents(recipe: Recipe) -> list[dict]:
    return list(yaml.safe_load_all(multi_text(recipe)))


def test_there_is_a_recipe_for_each_method_and_one_that_stacks():
    first, second, last = documents(MIXED)
    assert first == {
        "name": "layers-0-2",
        "merge_method": "ties",
        "base_model": "base",
        "slices": [entry(0, 2)],
        "parameters": {"weight": 1, "density": 0.5},
        "dtype": "float32",
    }
    assert second == {
        "name": "layers-2-4",
        "merge_method": "linear",
        "base_model": "base",
        "slices": [entry(2, 4, parameters={"weight": 0.5})],
        "parameters": {"weight": 1},  # linear has no density
        "dtype": "float32",
    }
    assert last == {
        "merge_method": "passthrough",
        "slices": [
            {"sources": [{"model": "layers-0-2", "layer_range": [0, 2]}]},
            {"sources": [{"model": "layers-2-4", "layer_range": [0, 2]}]},
        ],
        "dtype": "float32",
    }


def test_neighbours_of_one_method_are_one_recipe():
    recipe = sliced(entry(0, 1), entry(1, 3), entry(2, 3, "linear"), entry(3, 3, "linear"))
    parts = parts_of(recipe)
    assert [(part.name, len(part.recipe.slices)) for part in parts] == [
        ("layers-0-3", 2),
        ("layers-3-4", 2),
    ]
    assert all(len(part.recipe.method_names()) == 1 for part in parts)


def test_what_is_written_is_said_of_the_stack_alone():
    recipe = sliced(
        entry(0, 2),
        entry(2, 4, "linear"),
        dtype="float32",
        out_dtype="float16",
        chat_template="chatml",
        seed=3,
    )
    *parts, last = documents(recipe)
    assert last["dtype"] == "float16"
    assert last["chat_template"] == "chatml"
    for part in parts:
        assert (part["dtype"], part["out_dtype"]) == ("float32", "float16")
        assert part.keys().isdisjoint({"chat_template", "seed"})


@pytest.mark.parametrize(
    ("recipe", "reason"),
    [
        (MIXED, None),
        (
            sliced(
                entry(0, 2), entry(2, 4, [{"filter": "mlp", "value": "ties"}, {"value": "slerp"}])
            ),
            "the method differs between tensors of the same layers",
        ),
        (
            Recipe.from_tree({"merge_method": BY_FILTER, "models": [{"model": "words"}]}),
            "the method differs between tensors of the same layers",
        ),
        (
            sliced(entry(0, 2), entry(2, 4, "linear"), tokenizer_source="union"),
            "tokenizer_source is about all models at once",
        ),
        (
            sliced(entry(0, 4), entry(4, 4, "linear")),
            "a slice without layers has a method of its own",
        ),
        (
            sliced(
                entry(0, 2),
                entry(2, 4, "linear", parameters={"weight": [{"filter": "layers.3", "value": 1}]}),
            ),
            "the filter 'layers.3' may be about a layer's number",
        ),
        (
            sliced(entry(0, 2, parameters={"trim": "global"}), entry(2, 4, "linear")),
            "mergekit does not know trim: global",
        ),
        (sliced(entry(0, 2), entry(2, 4, "fisher")), "mergekit does not know merge_method: fisher"),
    ],
)
def test_what_cannot_be_written_in_steps_is_known(recipe: Recipe, reason: str | None):
    found = obstacle(recipe)
    assert (found is None) == (reason is None)
    assert reason is None or found.startswith(reason)


@pytest.mark.parametrize("text", ["mlp", "fc1", "w1", "self_attn.q_proj"])
def test_filters_that_cannot_be_about_numbers_may_stand(text: str):
    values = [{"filter": text, "value": 0.5}, {"value": 1}]
    recipe = sliced(entry(0, 2), entry(2, 4, "linear"), parameters={"weight": values})
    assert obstacle(recipe) is None


def leaving(tmp_path: Path, recipe: Recipe) -> Exported:
    book = Book(tmp_path / "run")
    trial = book.add(recipe=dict(recipe.tree()), answers=book.answers(0.5, 0.5))
    return export(book.study, trial, evidence_of(book.study))


def comment(text: str) -> str:
    return " ".join(line.removeprefix("# ") for line in text.splitlines() if line.startswith("#"))


def test_the_heading_says_how_to_follow_the_steps(tmp_path: Path):
    found = leaving(tmp_path, MIXED)
    assert "mergekit does not know more than one merge_method (ties and linear)" in comment(
        found.text
    )
    assert "'evomerge export --multi FILE' writes the same recipe in steps" in comment(found.text)
    assert found.multi is not None
    assert "mergekit-multi FILE --intermediate-dir SCRATCH --out-path MODEL" in comment(found.multi)
    assert "Trial 0 (search) of" in comment(found.multi)
    assert "evomerge merge" not in comment(found.multi)
    assert list(yaml.safe_load_all(found.multi)) == documents(MIXED)


def test_of_masks_that_are_drawn_the_steps_say_so(tmp_path: Path):
    found = leaving(tmp_path, sliced(entry(0, 2, "dare_ties"), entry(2, 4, "linear")))
    assert found.multi is not None
    assert "is not the model that was scored" in comment(found.multi)


def test_the_heading_says_why_there_are_no_steps(tmp_path: Path):
    found = leaving(tmp_path, sliced(entry(0, 4), merge_method=BY_FILTER))
    assert found.multi is None
    assert "It cannot be written in steps for mergekit-multi either: the method differs" in comment(
        found.text
    )


def test_a_recipe_of_one_method_needs_no_steps(tmp_path: Path):
    found = leaving(tmp_path, sliced(entry(0, 2), entry(2, 4)))
    assert found.multi is None
    assert found.remarks == ()
