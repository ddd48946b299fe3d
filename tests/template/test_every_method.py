"""Every merge method is searchable as it is declared; a new one is tested without being named."""

from __future__ import annotations

from random import Random

import pytest

from evomerge.merging import measured
from evomerge.merging.plan import plan_merge
from evomerge.methods.base import merge_methods
from evomerge.recipe import ModelReference
from evomerge.template import Template
from tests.merging.tiny import llama, merged, model, tuned
from tests.methods.in_memory import measurement

ALIASES = ("base", "sums", "words")
# Ranges that hold no illegal value beside the defaults of the other parameters.
NARROWER = {"epsilon": [0.01, 0.15], "density": [0.3, 0.7]}


@pytest.fixture(scope="module")
def models(module_folder):
    tensors = llama()
    folders = [model(module_folder / a, tuned(tensors, i)) for i, a in enumerate(ALIASES)]
    return {a: ModelReference(str(f)) for a, f in zip(ALIASES, folders, strict=True)}


def hole(param, method):
    """What stands in a template where a search is to choose; None where there is no range."""
    if param.options:
        return {"choose": list(param.options)}
    if isinstance(param.default, bool):
        return {"choose": [True, False]}
    narrower = NARROWER.get(param.name) if method.name.startswith("della") else None
    return None if param.search is None else {"search": narrower or list(param.search)}


def tree_of(method):
    """A template with a hole for every parameter that has a range or options."""
    holes = {name: hole(param, method) for name, param in method.params.items()}
    holes = {name: each for name, each in holes.items() if each is not None}
    if method.name == "passthrough":
        del holes["gain"]  # a tensor has it or a scale
    own = {name: each for name, each in holes.items() if method.params[name].per_model}
    shared = {name: each for name, each in holes.items() if name not in own}
    others = ALIASES[1:][: (method.models[1] or 2) - (method.base == "first")]
    tree = {"merge_method": method.name, "parameters": shared}
    if method.base in {"first", "required"}:
        tree["base_model"] = "base"
    elif method.base == "input":
        others = ("base", *others)[: method.models[1] or 3]
    listed = [{"model": alias, "parameters": dict(own)} for alias in others]
    if method.base == "first":
        listed.insert(0, {"model": "base"})
    return {**tree, "models": listed}


class MadeUp:
    """Measurements of models that no text was shown to."""

    def __init__(self, source, kind, data, device):
        self.source, self.kind = source, kind

    def of(self, name):
        return measurement(self.kind, self.source.load(name))


@pytest.mark.parametrize("name", sorted(merge_methods))
def test_all_that_has_a_range_may_be_a_hole(models, name, tmp_path, monkeypatch):
    method = merge_methods[name]
    monkeypatch.setattr(measured, "measurements_of", MadeUp)
    (tmp_path / "texts.jsonl").write_text("")
    data = {"file": str(tmp_path / "texts.jsonl")} if hasattr(method.steps, "measures") else None
    template = Template.read({**tree_of(method), "data": data}, models, merge_methods)
    template.check(lambda recipe: plan_merge(recipe) and None)
    random = Random(0)
    point = template.space.decode([random.random() for _ in template.space.names])
    recipe = template.fill(point)
    assert recipe.method_names() == (name,)
    assert template.fill(template.match(recipe)) == recipe
    assert merged(recipe.tree())
