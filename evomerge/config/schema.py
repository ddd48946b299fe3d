"""The JSON schema of a config.yaml, with what each key means: editors complete and check by it."""

from __future__ import annotations

from inspect import getdoc
from textwrap import dedent
from typing import Any

from evomerge.config.chained import NAME, OF_A_STAGE, STAGE_KEYS, STAGES
from evomerge.config.document import BudgetSetting, Config, ModelSetting, SimplifySetting

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema() -> dict[str, Any]:
    """The schema, as the tree of its JSON."""
    tree = Config.model_json_schema()
    _describe(tree, Config)
    for part in (BudgetSetting, ModelSetting, SimplifySetting):
        _describe(tree["$defs"][part.__name__], part)
    return {"$schema": DIALECT, **_or_chain(tree)}


def _or_chain(tree: dict[str, Any]) -> dict[str, Any]:
    """The schema of one search as that of one search or a chain of them.

    What has to be there depends on which of the two it is.
    """
    stages = {
        "type": "object",
        "minProperties": 1,
        "propertyNames": {"pattern": f"^{NAME.pattern}$"},
        "additionalProperties": {"$ref": "#/$defs/Stage"},
        "description": "Searches one after the other, by name: the best of each is a model of the "
        "next. The keys beside it count for all of them.",
    }
    properties = tree["properties"]
    stage = {
        "type": "object",
        "properties": {key: properties[key] for key in STAGE_KEYS},
        "required": ["recipe"],
        "additionalProperties": False,
        "description": "A search of a chain: a recipe, and what differs from the other stages.",
    }
    needed = tree.pop("required")
    return {
        **tree,
        "$defs": {**tree["$defs"], "Stage": stage},
        "properties": {**properties, STAGES: stages},
        "if": {"required": [STAGES]},
        "then": {"required": ["models"], "properties": dict.fromkeys(sorted(OF_A_STAGE), False)},
        "else": {"required": needed},
    }


def attributes(documented: type) -> dict[str, str]:
    """What the section ``Attributes:`` of a docstring says of each name, in one line."""
    section = (getdoc(documented) or "").partition("\nAttributes:\n")[2].partition("\n\n")[0]
    texts: dict[str, str] = {}
    name = ""
    for line in dedent(section).splitlines():
        if line.startswith(" "):
            texts[name] += f" {line.strip()}"
        else:
            name, _, text = line.partition(":")
            texts[name] = text.strip()
    return texts


def _describe(tree: dict[str, Any], documented: type) -> None:
    """Puts the words of a docstring where editors look for them.

    Titles, which pydantic makes from names, would stand before them.
    """
    tree["description"] = _shown((getdoc(documented) or "").partition("\n")[0])
    texts = attributes(documented)
    for name, key in tree["properties"].items():
        key.pop("title", None)
        key["description"] = _shown(texts[name])


def _shown(text: str) -> str:
    """In Markdown."""
    return text.replace("``", "`")
