"""Which merge method makes which tensors: one for all, or a list of {filter, value}. Ours.

A slice may have methods of its own, which take the place of the recipe's. mergekit knows one method
for the whole recipe.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Discriminator, Tag

from evomerge.recipe.entry import Entry, form
from evomerge.recipe.settings import Filter, listed


class MethodCondition(Entry):
    """One entry of a list of methods: the method of some tensors.

    Attributes:
        filter: a part of the names of the output's tensors; None, written ``*`` or left out, is all
            that earlier entries have not taken.
        value: the name of the method.
    """

    filter: Filter = None
    value: str

    def admits(self, tensor: str) -> bool:
        """Whether the entry is for the tensor of this name."""
        return self.filter is None or self.filter in tensor


def _complete(entries: tuple[MethodCondition, ...]) -> str | tuple[MethodCondition, ...]:
    """The list, which has a method for every tensor; one word if it is the same for all."""
    if not entries or entries[-1].filter is not None:
        raise ValueError(
            "the list has no method for the tensors that no filter takes; end it with one, "
            "as in [{filter: mlp, value: ties}, {value: linear}]"
        )
    for number, entry in enumerate(entries[:-1]):
        if entry.filter is None:
            raise ValueError(
                f"entry {number} is for all tensors, and leaves none to those behind it; "
                "put it last, or give it a filter"
            )
    methods = {entry.value for entry in entries}
    return methods.pop() if len(methods) == 1 else entries


def _method_form(value: object) -> str:
    return form("list" if isinstance(value, list | tuple) else "word")


# What makes the tensors of a recipe, or of a slice.
MethodSetting: TypeAlias = Annotated[
    Annotated[str, Tag(form("word"))]
    | Annotated[tuple[MethodCondition, ...], AfterValidator(_complete), Tag(form("list"))],
    Discriminator(_method_form),
    BeforeValidator(listed),
]


def method_for(setting: str | Sequence[MethodCondition], tensor: str) -> str:
    """The method that makes the tensor of this name."""
    if isinstance(setting, str):
        return setting
    return next(entry.value for entry in setting if entry.admits(tensor))


def methods_in(setting: object) -> tuple[str, ...]:
    """Every method of a setting, or of the tree of one, once, in reading order."""
    return tuple(dict.fromkeys(method for _, method in entries_in(setting)))


def entries_in(setting: object) -> tuple[tuple[str | None, str], ...]:
    """The filters and methods of a setting, or of the tree of one; a word is for all tensors."""
    if isinstance(setting, str):
        return ((None, setting),)
    entries = setting if isinstance(setting, list | tuple) else ()
    return tuple(
        (each.get("filter"), each["value"])
        if isinstance(each, Mapping)
        else (each.filter, each.value)
        for each in entries
    )


def settled(tree: Mapping[str, object]) -> Mapping[str, object]:
    """The tree of a recipe in the one spelling that all of the same meaning have.

    The recipe's methods are those of its first slice; other slices have methods of their own only
    where those differ. So a recipe with one method everywhere says it once.
    """
    parts = tree.get("slices")
    if not isinstance(parts, list) or not any("merge_method" in part for part in parts):
        return tree
    methods = [part.get("merge_method", tree.get("merge_method")) for part in parts]
    slices = [
        {key: value for key, value in part.items() if key != "merge_method"}
        | ({} if method == methods[0] else {"merge_method": method})
        for part, method in zip(parts, methods, strict=True)
    ]
    return {**tree, "slices": slices, "merge_method": methods[0]}


def spread(tree: Mapping[str, object]) -> Mapping[str, object]:
    """The tree of a recipe of slices with its methods at every slice; `settled` takes it back."""
    methods = {key: tree[key] for key in tree if key == "merge_method"}
    parts = tree.get("slices")
    if not isinstance(parts, list):
        return tree
    rest = {key: value for key, value in tree.items() if key not in methods}
    return {**rest, "slices": [{**methods, **part} for part in parts]}
