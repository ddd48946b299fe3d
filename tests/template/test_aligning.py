"""Holes in ``align:``: whether, by whom, to what, and which groups."""

from __future__ import annotations

import pytest

from evomerge.errors import RecipeError
from evomerge.evidence.neutral import genes
from evomerge.recipe import Recipe
from evomerge.template.description import describe
from tests.template.strategies import MODELS
from tests.template.templates import read

WHERE = "models[words].align"


def two(align: str, base: str = "base"):
    """Of two models, of which the words are aligned so."""
    return read(
        f"merge_method: linear\nbase_model: {base}\nparameters: {{weight: 1}}\n"
        f"models: [{{model: base}}, {{model: words, align: {align}}}]"
    )


def way(template, **values) -> object:
    """What the words' ``align`` is, where dimensions below it have these values."""
    names = {"" if key == "all" else key: value for key, value in values.items()}
    point = {f"{WHERE}{'.' * bool(key)}{key}": value for key, value in names.items()}
    return template.fill(template.at(point)).tree()["models"][1].get("align")


def test_whether_and_how_may_be_chosen():
    options = "[none, weight_matching, {method: weight_matching, groups: [neurons]}]"
    template = two(f"{{choose: {options}}}")
    (dimension,) = template.space.dimensions
    assert dimension.name == WHERE
    assert dimension.options == ("none", "weight_matching", "method weight_matching")
    assert way(template, all="none") is None
    assert way(template, all="weight_matching") == {"method": "weight_matching"}
    assert way(template, all="method weight_matching") == {
        "method": "weight_matching",
        "groups": ["neurons"],
    }
    for label in dimension.options:
        point = {WHERE: label}
        assert template.match(template.fill(point)) == template.settle(point) == point
        assert template.space.decode(template.space.encode(point)) == point


def test_each_value_may_be_chosen_and_counts_only_where_it_is_read():
    inner = (
        "{method: {choose: [weight_matching, zipper]}, to: {choose: [base, prose]}, "
        "groups: {choose: [[neurons, residual], heads]}, size: {choose: [1, 2]}}"
    )
    template = two(f"{{choose: [none, {inner}]}}")
    names = [f"{WHERE}[option 2].{key}" for key in ("method", "to", "groups", "size")]
    assert template.space.names == (WHERE, *names)
    middle = template.space.middle()
    assert template.inert({**middle, WHERE: "none"}) == set(names)
    assert template.inert({**middle, WHERE: "option 2"}) == frozenset()
    values = dict(zip(names, ["zipper", "prose", "[neurons, residual]", "2"], strict=True))
    filled = template.fill({WHERE: "option 2", **values})
    assert filled.tree()["models"][1]["align"] == {
        "method": "zipper",
        "to": "zoo/prose",
        "groups": ["residual", "neurons"],
        "size": 2,
    }
    assert [each.path for each in filled.model_references()][-1] == "zoo/prose"
    rows = {row.name: row.read for row in describe(template).dimensions}
    assert rows[names[1]] == f"{WHERE}: option 2"


@pytest.mark.parametrize("base", ["base", "{choose: [base, sums]}"])
def test_a_model_is_recognised_whether_its_anchor_is_said_or_meant(base):
    """``to`` the base is what a recipe means that does not say it."""
    said = two("{method: zipper, to: {choose: [base, sums]}}", base)
    meant = two("zipper", base)
    for option in ("base", "sums"):
        bases = {"base_model": "base"} if "base_model" in said.space.names else {}
        point = said.at({f"{WHERE}.to": option, **bases})
        assert said.match(said.fill(point)) == point
        found = meant.match(said.fill(point))
        assert (found is not None) == (option == "base")
    assert said.match(meant.fill(meant.space.middle()))[f"{WHERE}.to"] in ("base", "sums")


def test_without_a_base_the_first_model_is_meant():
    tree = "merge_method: linear\nparameters: {weight: 1}\nmodels: "
    template = read(f"{tree}[{{model: sums}}, {{model: words, align: zipper}}]")
    entries = [{"model": "zoo/sums"}, {"model": "zoo/words"}]
    for to, known in (("zoo/sums", True), ("zoo/base", False)):
        entries[1]["align"] = {"method": "zipper", "to": to}
        recipe = Recipe.from_tree(
            {"merge_method": "linear", "parameters": {"weight": 1}, "models": entries}
        )
        assert (template.match(recipe) is not None) == known


def test_models_of_slices_are_aligned_alike_by_name():
    hole = "{choose: [none, zipper], name: aligned}"
    template = read(
        "merge_method: passthrough\nbase_model: base\nslices:\n"
        f"  - sources: [{{model: words, layer_range: [0, 1], align: {hole}}}]\n"
        f"  - sources: [{{model: words, layer_range: [1, 2], align: {hole}}}]\n"
    )
    assert template.space.names == ("aligned",)
    assert template.fill({"aligned": "zipper"}).aligned().keys() == {MODELS["words"]}


def test_an_alignment_is_simpler_left_out():
    template = two("{choose: [none, zipper, weight_matching]}")
    (gene,) = genes(template.space)
    (tried,) = gene.neutral({WHERE: "zipper"}, {})
    assert tried == (f"{WHERE} = none", {WHERE: "none"})
    assert genes(two("{choose: [zipper, weight_matching]}").space) == []


@pytest.mark.parametrize(
    ("align", "message"),
    [
        ("3", "models.1.align: found 3; expected the name of an aligner, none, or a mapping"),
        ("{method: zipper, groups: [neuron]}", "align.groups: unknown group 'neuron'; did you"),
        ("{method: zipper, seed: {choose: [1, 2]}}", "align.seed: no hole may stand here"),
        ("{method: zipper, to: word}", "align.to: unknown model 'word'; did you mean 'words'?"),
        (
            "{method: zipper, size: {search: [0, 1]}}",
            "align.size: {search: ...} stands for numbers",
        ),
        ("{method: zipper, to: {choose: [base, words]}}", "words would be aligned to itself"),
        ("{choose: [none, none]}", "the option none stands twice"),
    ],
)
def test_what_is_refused(align, message):
    with pytest.raises(RecipeError) as error:
        two(align)
    assert message in str(error.value)
