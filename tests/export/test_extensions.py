"""Promises of what is said about recipes that mergekit does not understand."""

from __future__ import annotations

import warnings

import pytest

from evomerge.export.extensions import MERGEKIT, draws_masks, extensions, remarks
from evomerge.methods.base import merge_methods
from evomerge.recipe import Recipe


def recipe(method: str = "ties", **more) -> Recipe:
    models = [{"model": "a", "parameters": {"weight": 1, **more.pop("own", {})}}]
    tree = {"merge_method": method, "base_model": "base", "models": models, **more}
    return Recipe.from_tree(tree)


def test_what_mergekit_reads_is_no_extension():
    gradient = [{"filter": "mlp", "value": [0.1, 0.5]}, {"value": "1e-1"}]
    assert extensions(recipe(own={"density": gradient}, parameters={"normalize": "yes"})) == ()


@pytest.mark.parametrize(
    ("method", "name", "value", "harmless"),
    [
        ("ties", "trim", "global", "tensor"),
        ("breadcrumbs", "trim", "row", "tensor"),
        ("dare_ties", "rescale", "density", True),
        ("dare_linear", "rescale", "l1", False),
        ("della", "rescale", "probability", True),
        ("model_stock", "clamp", True, False),
        ("multislerp", "map", "log", "mergekit"),
    ],
)
def test_an_extension_is_named_and_a_default_spelled_out_is_not(method, name, value, harmless):
    written = str(value).lower() if isinstance(value, bool) else value
    assert extensions(recipe(method, parameters={name: value})) == (f"{name}: {written}",)
    assert extensions(recipe(method, parameters={name: harmless})) == ()


def test_extensions_are_found_at_every_depth_and_named_once():
    conditions = [{"filter": "mlp", "value": "global"}, {"value": "tensor"}]
    found = extensions(recipe(parameters={"trim": conditions}, own={"trim": "global"}, seed=3))
    assert found == ("seed: 3", "trim: global")


def test_a_method_that_mergekit_lacks_is_one_extension():
    assert extensions(recipe("fisher", own={"density": 1})) == ("merge_method: fisher",)


def test_data_are_an_extension_wherever_they_stand():
    data = {"file": "texts.jsonl"}
    assert extensions(recipe(data=data)) == ("data",)
    tree = {"merge_method": "linear", "models": [{"model": "a", "data": data}, {"model": "b"}]}
    assert extensions(Recipe.from_tree(tree)) == ("data",)


def mixed(one: str, other: str, **more) -> Recipe:
    return recipe([{"filter": "mlp", "value": one}, {"value": other}], **more)


def test_several_methods_are_an_extension_each_of_which_may_have_more():
    several = "more than one merge_method (ties and linear)"
    assert extensions(mixed("ties", "linear")) == (several,)
    given = {"parameters": {"trim": "global"}, "own": {"density": 0.5}}
    assert extensions(mixed("ties", "linear", **given)) == (several, "trim: global")
    found = extensions(mixed("fisher", "ties"))
    assert found == ("more than one merge_method (fisher and ties)", "merge_method: fisher")
    assert extensions(mixed("ties", "ties")) == ()


def test_of_several_methods_those_that_draw_are_named():
    masks = list(remarks(mixed("dare_ties", "linear")))[1]
    assert masks.startswith("mergekit draws the masks of dare_ties anew")
    assert "dare_ties and della" in list(remarks(mixed("dare_ties", "della")))[1]
    assert len(list(remarks(mixed("ties", "linear")))) == 1


def test_drawn_masks_are_remarked_on_and_nothing_is_said_of_a_plain_recipe():
    assert list(remarks(recipe())) == []
    (remark,) = remarks(recipe("dare_ties"))
    assert "draws the masks of dare_ties anew" in remark
    assert draws_masks(recipe("della_linear"))
    assert not draws_masks(recipe("breadcrumbs_ties"))
    first, second = remarks(recipe("della", parameters={"rescale": "probability"}))
    assert first.startswith("mergekit does not know rescale: probability")
    assert "draws the masks" in second


@pytest.mark.parity
def test_the_table_is_what_mergekit_itself_reads():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mergekit = pytest.importorskip("mergekit.merge_methods")
    theirs = {method.spec.name: method.spec.parameters for method in mergekit.registered_methods()}
    common = {name: theirs[name] for name in merge_methods if name in theirs}
    names = {name: {each.name for each in specs} for name, specs in common.items()}
    assert names == MERGEKIT
    types = {each.value_type for specs in common.values() for each in specs}
    assert str not in types
