"""The README.md of a merged model: a model card as the Hugging Face hub reads it.

The text is what huggingface_hub's ModelCard would write (a test holds them equal); importing
that would cost more time than merging a small model.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import yaml

from evomerge.recipe.adapters import AdapterRecipe
from evomerge.recipe.document import Recipe
from evomerge.recipe.reference import ModelReference

CARD = "README.md"
RECIPE = "mergekit_config.yml"


def write_card(folder: Path, recipe: Recipe, *, name: str, text: str) -> None:
    """Writes README.md and, for mergekit's readers, the recipe as mergekit_config.yml.

    Args:
        folder: where to.
        recipe: what was merged.
        name: of the model.
        text: the recipe as the user wrote it.

    Raises:
        OSError: a file cannot be written.
    """
    (folder / CARD).write_text(model_card(recipe, name=name, text=text), encoding="utf-8")
    (folder / RECIPE).write_text(text, encoding="utf-8")


def write_adapter_card(folder: Path, recipe: AdapterRecipe, *, name: str) -> None:
    """Writes README.md for what came of adapters, be it an adapter or a model.

    Raises:
        OSError: the file cannot be written.
    """
    *adapters, base = recipe.references()
    of_models = recipe.output == "model"
    metadata = {
        "base_model": _ids([base]),
        "library_name": "transformers" if of_models else "peft",
        "tags": ["lora", "merge", "evomerge"],
        "base_model_relation": "merge" if of_models else "adapter",
    }
    what = "A model with" if of_models else "A LoRA adapter:"
    intro = (
        f"{what} the merge of LoRA adapters of {_shown(base)}, made with evomerge by the method "
        f"`{recipe.merge_method}`."
    )
    text = _card(metadata, name, intro, ("Adapters", adapters), recipe.write())
    (folder / CARD).write_text(text, encoding="utf-8")


def write_extraction_card(
    folder: Path, model: ModelReference, base: ModelReference, rank: int, name: str
) -> None:
    """Writes README.md for an adapter that was taken out of a model.

    Raises:
        OSError: the file cannot be written.
    """
    metadata = {
        "base_model": _ids([base]),
        "library_name": "peft",
        "tags": ["lora", "evomerge"],
        "base_model_relation": "adapter",
    }
    header = yaml.dump(metadata, sort_keys=False, allow_unicode=True).strip()
    text = f"""---
{header}
---

# {name}

A LoRA adapter of {_shown(base)}: the part of rank {rank} of what {_shown(model)}
changed, matrix by matrix, as evomerge extracted it by truncated SVD.
"""
    (folder / CARD).write_text(text, encoding="utf-8")


def model_card(recipe: Recipe, *, name: str, text: str) -> str:
    """The model card: metadata between lines of dashes, then Markdown.

    Args:
        recipe: what was merged. Of a folder, only the name is shown.
        name: of the model.
        text: the recipe as the user wrote it.
    """
    parents = recipe.references()
    metadata = {
        "base_model": _ids(parents),
        "library_name": "transformers",
        "tags": ["mergekit", "merge", "evomerge"],
        "base_model_relation": "merge",
    }
    base = "" if recipe.base_model is None else f", with {_shown(recipe.base_model)} as the base"
    names = [f"`{name}`" for name in recipe.method_names()]
    methods = f"method{'s' * (len(names) > 1)} {', '.join(names)}"
    intro = f"A merge of language models, made with evomerge by the {methods}{base}."
    return _card(metadata, name, intro, ("Models", parents), text)


def _card(
    metadata: Mapping[str, object],
    name: str,
    intro: str,
    listed: tuple[str, Sequence[ModelReference]],
    recipe: str,
) -> str:
    header = yaml.dump(dict(metadata), sort_keys=False, allow_unicode=True).strip()
    title, parents = listed
    lines = "\n".join(f"* {_shown(parent)}" for parent in parents)
    return f"""---
{header}
---

# {name}

{intro}

## {title}

{lines}

## Recipe

```yaml
{recipe.strip()}
```
"""


def _ids(parents: Iterable[ModelReference]) -> list[str]:
    """Each model and adapter once: its id on the hub, or the name of its folder."""
    paths = (path for parent in parents for path in (parent.path, parent.adapter) if path)
    return list(dict.fromkeys(_name(path) for path in paths))


def _name(path: str) -> str:
    folder = Path(path).expanduser()
    return folder.resolve().name if folder.is_dir() else path


def _shown(parent: ModelReference) -> str:
    """A model in Markdown, linked where it is on the hub."""
    parts = ((parent.path, parent.revision), (parent.adapter, parent.adapter_revision))
    return " + ".join(_linked(path, revision) for path, revision in parts if path)


def _linked(path: str, revision: str | None) -> str:
    name = _name(path)
    at = f"@{revision}" if revision else ""
    if name != path or "/" not in path:
        return f"`{name}{at}`"
    return f"[{path}{at}](https://huggingface.co/{path})"
