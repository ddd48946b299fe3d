"""``evomerge space``: what a config searches, dimension by dimension."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from evomerge.cli.tables import Form, table
from evomerge.config.chained import ChainConfig, read_either
from evomerge.config.reading import Located

if TYPE_CHECKING:
    from evomerge.template import Template
    from evomerge.template.description import Description


def space(
    config: Annotated[Path, Argument(help="What to search, and how.", show_default=False)],
    form: Annotated[Form, Option(help="What to write on standard output.")] = Form.text,
) -> None:
    """Shows the dimensions of a search, how many points there are, and the recipe of one.

    Reads the models' headers, no weights.
    """
    from evomerge.config.templates import template_of
    from evomerge.template.description import describe

    found = read_either(config)
    if isinstance(found, ChainConfig):
        sys.stdout.write(_chain(found, form))
        return
    description = describe(template_of(found))
    sys.stdout.write(_json(description.tree()) if form is Form.json else _text(description))


def _chain(config: ChainConfig, form: Form) -> str:
    """The space of every stage, with a model from the middle of each in the place of its winner."""
    from evomerge.chain.foreseeing import foreseen
    from evomerge.config.templates import template_of
    from evomerge.template.description import describe

    def look(located: Located) -> tuple[Description, Template]:
        template = template_of(located)
        found = describe(template)
        example = found.example
        for name in config.stages:  # what stands in for a winner is gone when this is read
            if name in located.config.models:
                example = example.replace(str(located.config.models[name]), name)
        return replace(found, example=example), template

    with foreseen(config, look) as stages:
        found = {each.name: each for each in stages}
    if form is Form.json:
        trees = {name: each.found and each.found.tree() for name, each in found.items()}
        return _json({"stages": trees})
    texts = [
        f"Stage {name}\n\n{_text(each.found)}" if each.found else f"{each.remark}\n"
        for name, each in found.items()
    ]
    return "\n".join(texts)


def _json(tree: Mapping[str, object]) -> str:
    return json.dumps(tree, indent=2) + "\n"


def _text(description: Description) -> str:
    from evomerge.template.description import COLUMNS

    lines = "".join(f"{line}\n" for line in description.summary())
    middle = f"\nThe recipe in its middle:\n\n{description.example}"
    return table(COLUMNS, description.cells()) + lines + middle
