"""Which model: a folder or a Hugging Face id, with or without a revision and a LoRA adapter."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import astuple, dataclass

from evomerge.errors import RecipeError, unknown

_FORM = "expected path[@revision][+adapter[@revision]]"
# A path that holds one of these signs has no text form; such a reference is written as a mapping.
_SIGNS = frozenset("@+")


@dataclass(frozen=True)
class ModelReference:
    """A model as a recipe names it; two references are equal when they are spelled alike.

    Attributes:
        path: a folder, or a Hugging Face id such as ``mistralai/Mistral-7B-v0.1``.
        revision: a branch, tag or commit of that id; None is its default branch.
        adapter: the path of a LoRA adapter applied to the model; None is no adapter.
        adapter_revision: a revision of the adapter.
    """

    path: str
    revision: str | None = None
    adapter: str | None = None
    adapter_revision: str | None = None

    @classmethod
    def parse(cls, text: str) -> ModelReference:
        """The reference written as ``path[@revision][+adapter[@revision]]``.

        Raises:
            RecipeError: a part is empty, or ``@`` or ``+`` stands more often than the form allows.
        """
        model, *adapters = text.split("+")
        if len(adapters) > 1:
            raise RecipeError(f"model '{text}': more than one '+'; {_FORM}")
        return cls(*_path(model, text), *(_path(adapters[0], text) if adapters else ()))

    @classmethod
    def of(cls, value: object) -> ModelReference:
        """The reference from any form: itself, text, a ``Path``, or mergekit's mapping.

        The mapping is ``{model: {path, revision}, lora: {path, revision}}``; it takes paths that
        hold an ``@`` or a ``+``, as a ``Path`` does.

        Raises:
            RecipeError: the value has none of these forms.
        """
        if isinstance(value, ModelReference):
            return value
        if isinstance(value, str):
            return cls.parse(value)
        if isinstance(value, os.PathLike):
            return cls(os.fspath(value))
        if isinstance(value, Mapping):
            return _from_mapping(value)
        raise RecipeError(f"{value!r} is not a model; expected text, in quotes if need be")

    def written(self) -> str | dict[str, object]:
        """What stands for it in a recipe: text, or mergekit's mapping if no text would do."""
        if not any(_SIGNS & set(part) for part in astuple(self) if part):
            return str(self)
        entry: dict[str, object] = {"model": _path_entry(self.path, self.revision)}
        if self.adapter is not None:
            entry["lora"] = _path_entry(self.adapter, self.adapter_revision)
        return entry

    def __str__(self) -> str:
        model = _joined(self.path, self.revision)
        if self.adapter is None:
            return model
        return f"{model}+{_joined(self.adapter, self.adapter_revision)}"


def _path(part: str, text: str) -> tuple[str, str | None]:
    """``path[@revision]``, a part of ``text``, split in two."""
    path, *revisions = part.split("@")
    if len(revisions) > 1:
        raise RecipeError(f"model '{text}': more than one '@' in '{part}'; {_FORM}")
    if not path or revisions == [""]:
        raise RecipeError(f"model '{text}': a path or revision is empty; {_FORM}")
    return path, revisions[0] if revisions else None


def _joined(path: str, revision: str | None) -> str:
    return path if revision is None else f"{path}@{revision}"


def _path_entry(path: str, revision: str | None) -> dict[str, str]:
    return {"path": path} if revision is None else {"path": path, "revision": revision}


def _from_mapping(entry: Mapping[object, object]) -> ModelReference:
    entry = {key: value for key, value in entry.items() if value is not None}
    if "override_architecture" in entry:
        raise RecipeError(
            "override_architecture is not supported; the architecture is the one of config.json"
        )
    _check_keys(entry, ("model", "lora"))
    if "model" not in entry:
        raise RecipeError("a model given as a mapping needs the key 'model'")
    lora = entry.get("lora")
    return ModelReference(*_path_of(entry["model"]), *(() if lora is None else _path_of(lora)))


def _path_of(value: object) -> tuple[str, str | None]:
    if isinstance(value, str):
        return _path(value, value)
    if not isinstance(value, Mapping):
        raise RecipeError(f"{value!r} is not a path; expected text or {{path, revision}}")
    _check_keys(value, ("path", "revision"))
    path, revision = value.get("path"), value.get("revision")
    if not isinstance(path, str) or not isinstance(revision, str | None):
        raise RecipeError("path and revision of a model must be text, in quotes if need be")
    if not path or revision == "":
        raise RecipeError("a path or revision of a model is empty")
    return path, revision


def _check_keys(entry: Mapping[object, object], keys: tuple[str, ...]) -> None:
    for key in entry:
        if key not in keys:
            raise RecipeError(unknown("key", str(key), keys))
