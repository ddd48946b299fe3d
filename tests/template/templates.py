"""Templates written as YAML, for tests by hand."""

from __future__ import annotations

from evomerge.methods.base import merge_methods
from evomerge.recipe.entry import plain
from evomerge.recipe.reading import load_yaml
from evomerge.template import Template
from tests.template.strategies import MODELS


def read(text: str, family=None) -> Template:
    """The template in a YAML text, which may name the models base, sums, words and prose."""
    return Template.read(load_yaml(text, "recipe"), MODELS, merge_methods, family=family)


def two(parameters: str, *, method: str = "ties", rest: str = "") -> Template:
    """Of two models, where the words have these parameters."""
    return read(
        f"merge_method: {method}\n"
        "base_model: base\n"
        "models:\n"
        "  - {model: sums, parameters: {weight: 1}}\n"
        f"  - model: words\n    parameters: {parameters}\n{rest}"
    )


def words(template: Template, **values) -> dict:
    """The parameters of the words, where those dimensions have these values, the rest the middle.

    A dimension is named by its place below the parameters.
    """
    point = template.at({f"models[words].parameters.{k}": v for k, v in values.items()})
    return plain(template.fill(point))["models"][1]["parameters"]
