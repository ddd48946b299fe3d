"""The chat template of a merged model: how a conversation becomes one text."""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from evomerge.checkpoint.documents import read_json
from evomerge.checkpoint.tokenizer_files import SETTINGS
from evomerge.errors import RecipeError, unknown

TEMPLATE = "chat_template.jinja"
_LEGACY = "chat_template.json"

# mergekit takes a setting for a template rather than a mistyped name from this length on.
_SHORTEST = 20

BUILT_IN = {
    file.stem: file.read_text(encoding="utf-8")
    for file in sorted(Path(__file__).with_name("templates").glob("*.jinja"))
}


def chat_template(setting: str, folders: Iterable[Path]) -> str | None:
    """The template that a recipe asks for.

    Args:
        setting: ``auto`` for the most common one among the models (the first listed where two
            are equally common), the name of a built-in one, or Jinja text.
        folders: of the models, in the order of the recipe.

    Returns:
        The Jinja text, or None where it is ``auto`` and no model has one.

    Raises:
        RecipeError: the setting is none of the three, or not valid Jinja.
    """
    if setting == "auto":
        return _most_common(folders)
    if setting in BUILT_IN:
        return BUILT_IN[setting]
    if len(setting) < _SHORTEST or "{" not in setting:
        raise RecipeError(
            f"recipe.chat_template: {unknown('template', setting, [*BUILT_IN, 'auto'])}"
        )
    _check_syntax(setting)
    return setting


def read_chat_template(folder: Path) -> str | None:
    """The template of a model, wherever its release of transformers put it; None without one.

    Raises:
        CheckpointError: a file is not valid JSON.
    """
    if (folder / TEMPLATE).is_file():
        return (folder / TEMPLATE).read_text(encoding="utf-8")
    for name in (SETTINGS, _LEGACY):
        template = (
            read_json(folder / name).get("chat_template") if (folder / name).is_file() else None
        )
        if isinstance(template, list):  # several by name
            entries = [entry for entry in template if isinstance(entry, dict)]
            named = {entry.get("name"): entry.get("template") for entry in entries}
            template = named.get("default")
        if isinstance(template, str):
            return template
    return None


def write_chat_template(folder: Path, template: str) -> None:
    """Makes it the template of the model in a folder, in place of any other.

    Raises:
        OSError: a file cannot be written.
    """
    (folder / TEMPLATE).write_text(template, encoding="utf-8")
    (folder / _LEGACY).unlink(missing_ok=True)
    settings = folder / SETTINGS
    if settings.is_file() and "chat_template" in (content := read_json(settings)):
        # Read by releases of transformers that do not know the other file.
        content["chat_template"] = template
        settings.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", "utf-8")


def _most_common(folders: Iterable[Path]) -> str | None:
    found = [read_chat_template(folder) for folder in folders]
    counts = Counter(template for template in found if template is not None)
    if not counts:
        warnings.warn(
            "chat_template: auto, but no model has a chat template; the merge has none either",
            UserWarning,
            stacklevel=3,
        )
        return None
    # A Counter lists equally common ones in the order in which they came.
    return counts.most_common(1)[0][0]


def _check_syntax(template: str) -> None:
    from jinja2 import Environment, TemplateSyntaxError

    if "generation" in template:  # a tag of transformers' own
        return
    try:
        Environment(extensions=["jinja2.ext.loopcontrols"], autoescape=False).parse(template)
    except TemplateSyntaxError as error:
        raise RecipeError(f"recipe.chat_template: line {error.lineno}: {error.message}") from error
