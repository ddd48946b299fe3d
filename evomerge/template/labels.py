"""What the options of a choice are called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from evomerge.errors import RecipeError
from evomerge.template.holes import is_hole


def labels_of(options: Sequence[object], where: str) -> tuple[str, ...]:
    """A name for each option, all different.

    A scalar is called what it says, a list of scalars as it is written; a recipe after its merge
    method, another mapping after the first scalar in it that no other option has; the rest by
    number.

    Raises:
        RecipeError: the same scalar stands twice.
    """
    plain = [_plain(option) for option in options]
    for position, label in enumerate(plain):
        if label is not None and label in plain[:position]:
            raise RecipeError(f"{where}: the option {label} stands twice; each may stand once")
    labels: list[str] = []
    for position, option in enumerate(options):
        label = plain[position] or _telling(option, options)
        if label is None or label in labels or label in plain[position + 1 :]:
            label = _numbered(position + 1, plain)
        labels.append(label)
    return tuple(labels)


def spelled(value: object) -> str:
    """A scalar as a recipe writes it; equal numbers are spelled alike."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _is_scalar(value: object) -> bool:
    return isinstance(value, bool | int | float | str)


def _numbered(number: int, taken: Sequence[str | None]) -> str:
    label = f"option {number}"
    while label in taken:  # by a word that says just this
        label += "'"
    return label


def _plain(option: object) -> str | None:
    if _is_scalar(option):
        return spelled(option)
    if isinstance(option, list | tuple) and all(map(_is_scalar, option)):
        return f"[{', '.join(map(spelled, option))}]"
    return None


def _telling(option: object, options: Sequence[object]) -> str | None:
    """What sets a mapping apart from the other options."""
    if not isinstance(option, Mapping):
        return None
    if is_hole(option):
        ends = option.get("search")
        whole = isinstance(ends, list | tuple) and all(map(_is_scalar, ends))
        return " to ".join(map(spelled, ends)) if whole and ends else None
    others = [each for each in options if each is not option and isinstance(each, Mapping)]
    for key in ("merge_method",) if "merge_method" in option else option:
        value = option.get(key)
        if _is_scalar(value) and all(each.get(key) != value for each in others):
            return spelled(value) if key == "merge_method" else f"{key} {spelled(value)}"
    return None
