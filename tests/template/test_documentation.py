"""What docs/search_spaces.md says is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from evomerge.families import FAMILIES
from evomerge.merging.plan import plan_merge
from evomerge.methods.base import merge_methods
from evomerge.recipe import ModelReference
from evomerge.recipe.reading import load_yaml
from evomerge.template import Template
from evomerge.template.description import COLUMNS, describe
from evomerge.template.stack_hole import StackSetting
from tests.merging.tiny import llama, model
from tests.template.strategies import MODELS

PAGE = Path(__file__).parents[2] / "docs" / "search_spaces.md"
TEXT = PAGE.read_text("utf-8")
LAYERS = 4
LLAMA = next(family for family in FAMILIES if family.name == "Llama")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def models(module_folder):
    """Small models of these aliases, on disk."""
    tensors = llama(layers=LAYERS)
    folders = {alias: model(module_folder / alias, tensors) for alias in MODELS}
    return {alias: ModelReference(str(folder)) for alias, folder in folders.items()}


def template_of(text: str, models=MODELS) -> Template:
    """The template in an example, which may be the parameters of one model alone."""
    tree = load_yaml(text, "example")
    if "choose" not in tree and "merge_method" not in tree:
        entries = [{"model": "words", "parameters": tree}]
        tree = {"merge_method": "ties", "base_model": "base", "models": entries}
    layers = dict.fromkeys(models.values(), LAYERS)
    return Template.read(tree, models, merge_methods, family=LLAMA, layers=layers)


@pytest.mark.parametrize("text", blocks("yaml"))
def test_every_example_is_a_template(text):
    template = template_of(text)
    assert len(template.space)
    point = template.space.middle()
    found = template.match(template.fill(point))
    if template.codes:  # several points make one stack
        assert template.fill(found).digest() == template.fill(point).digest()
    else:
        assert found == template.settle(point)
    assert template.advice() == ()


@pytest.mark.parametrize("text", blocks("yaml"))
def test_every_example_merges_at_every_point(text, models):
    template = template_of(text, models)
    template.check_filters(llama(), LLAMA)
    template.check(lambda recipe: plan_merge(recipe) and None)


def test_the_table_is_that_of_the_first_example():
    description = describe(template_of(blocks("yaml")[0]))
    shown = [re.split(r" {2,}", line) for line in blocks("text")[0].splitlines()]
    assert shown == [list(row) for row in (COLUMNS, *description.cells())]


@pytest.mark.parametrize(
    "name",
    [
        "weight[attn]",
        "weight[mlp]",
        "weight[rest]",
        "density[mlp][0]",
        "density[rest][1]",
        "recipe[ties].models[sums].parameters.weight",
        "recipe[slerp].parameters.t",
    ],
)
def test_the_names_it_mentions_are_names(name):
    names = [each for text in blocks("yaml") for each in template_of(text).space.names]
    assert name in TEXT
    assert any(f".{each}".endswith(f".{name}") or each.startswith(name) for each in names)


def test_its_program_runs():
    (program,) = blocks("python")
    exec(compile(program, str(PAGE), "exec"), {})


def test_the_keys_of_a_stack_are_those_of_the_hole():
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| .* \| `(.+)` \|$", TEXT, flags=re.MULTILINE)
    documented = {key: default.strip("`") for key, default, _ in rows}
    fields = StackSetting.model_fields
    assert documented == {
        key: "needed"
        if field.is_required()
        else "—"
        if field.default is None
        else str(field.default)
        for key, field in fields.items()
    }
    for key, _, example in rows:
        StackSetting.model_validate({"models": ["base"], key: load_yaml(f"a: {example}", "")["a"]})


def test_its_links_lead_somewhere():
    targets = re.findall(r"\]\((?!https:)([^)#]+)", TEXT)
    assert targets
    assert all((PAGE.parent / target).exists() for target in targets)
