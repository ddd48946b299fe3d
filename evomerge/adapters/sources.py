"""The adapters of a recipe, opened: what each does to every tensor of the base, side by side."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

from evomerge.adapters.adapter import BIAS, Adapter, parameter_of
from evomerge.adapters.updates import Update
from evomerge.checkpoint.adapter_changes import LowRank
from evomerge.checkpoint.adapter_names import Names
from evomerge.checkpoint.reader import Checkpoint
from evomerge.errors import AdapterError

# The part of a factor's name that says which it is.
_PART = re.compile(r"\.(lora_A\.weight|lora_B\.weight|lora_embedding_A|lora_embedding_B)$")


@dataclass(frozen=True)
class Matrix:
    """A matrix of the base that at least one adapter changes by factors.

    Attributes:
        name: in the merged model.
        source: the tensor of the base it starts as; another one where a head was tied.
        module: what PEFT calls its module, prefix included.
        shape: ``(outputs, inputs)``, however it is stored.
        embedding: whether PEFT names its factors as those of an embedding.
        turned: whether it is stored ``(inputs, outputs)``.
        decomposed: whether an adapter brings its output directions to trained lengths (DoRA).
    """

    name: str
    source: str
    module: str
    shape: tuple[int, int]
    embedding: bool
    turned: bool = False
    decomposed: bool = False

    @property
    def factors(self) -> tuple[str, str]:
        """What PEFT calls B and A."""
        if self.embedding:
            return f"{self.module}.lora_embedding_B", f"{self.module}.lora_embedding_A"
        return f"{self.module}.lora_B.weight", f"{self.module}.lora_A.weight"

    @property
    def lengths(self) -> str:
        """What the lengths are called so that both PEFT and transformers find them."""
        return f"{self.module}.lora_magnitude_vector.weight"


@dataclass(frozen=True)
class Whole:
    """A bias, or a tensor of a module, that at least one adapter trains as a whole.

    Attributes:
        name: in the merged model.
        source: the tensor of the base it starts as; another one where a head was tied.
        parameter: what it is called in memory.
        shape: of the tensor.
        saved: whether it is one of ``modules_to_save``.
        tied: whether it is the embedding once more, as the head that stays tied to it.
    """

    name: str
    source: str
    parameter: str
    shape: tuple[int, ...]
    saved: bool
    tied: bool = False

    @property
    def module(self) -> str:
        """What its module is called in memory."""
        return self.parameter.rpartition(".")[0]


@dataclass(frozen=True)
class Sources:
    """The base, and its adapters in the order of the recipe.

    Attributes:
        base: the model that all were trained on.
        adapters: at least one.
        matrices: all that any of them changes by factors, by name; at least one.
        wholes: all that any of them trains as a whole, by name.
    """

    base: Checkpoint
    adapters: Sequence[Adapter]
    matrices: Sequence[Matrix]
    wholes: Sequence[Whole]

    def updates(self, matrix: Matrix) -> list[Update]:
        """One for each adapter, rank 0 where it leaves the matrix alone."""
        return [adapter.update(matrix.name, matrix.shape) for adapter in self.adapters]

    def partial(self, tensors: Sequence[Matrix] | Sequence[Whole]) -> int:
        """How many of these only some of the adapters change."""
        return sum(
            any(tensor.name not in adapter.changes for adapter in self.adapters)
            for tensor in tensors
        )


def sources_of(base: Checkpoint, adapters: Sequence[Adapter]) -> Sources:
    """A base and its adapters, seen to go together.

    Raises:
        AdapterError: they are of different bases; or they have no tensor in common, or train one
            in ways of which there is no mean.
    """
    _check_one_base(adapters)
    _check_common(adapters)
    _check_ties(adapters, base)
    _check_ways(adapters)
    return Sources(base, adapters, _matrices(adapters), _wholes(adapters, base))


def _check_one_base(adapters: Sequence[Adapter]) -> None:
    """Refuses adapters that say they were trained on different models."""
    named = [adapter for adapter in adapters if adapter.config.base]
    for other in named[1:]:
        first = named[0]
        if _called(first) == _called(other):
            continue
        raise AdapterError(
            f"{other.label}: was trained on {other.config.base}, {first.label} on "
            f"{first.config.base}; adapters are merged on one base. If these are one model, write "
            "one name into base_model_name_or_path of both adapter_config.json"
        )


def _called(adapter: Adapter) -> str:
    """The last part of its base's path or id, however that is spelled."""
    return Path(adapter.config.base).name.lower()


def _check_common(adapters: Sequence[Adapter]) -> None:
    if len(adapters) > 1 and all(
        one.changes.keys().isdisjoint(other.changes) for one, other in combinations(adapters, 2)
    ):
        raise AdapterError(
            f"{', '.join(adapter.label for adapter in adapters)}: change no matrix in common, so "
            "there is nothing to merge; expected adapters of the same modules"
        )


def _check_ways(adapters: Sequence[Adapter]) -> None:
    """Refuses a tensor that adapters change in ways of which there is no mean."""
    for one, other in combinations(adapters, 2):
        for name in one.changes.keys() & other.changes.keys():
            ways = [_way(adapter, name) for adapter in (one, other)]
            if None not in ways and ways[0] != ways[1]:
                raise AdapterError(
                    f"{name}: {one.label} changes it {ways[0]}, {other.label} {ways[1]}; they "
                    "have no mean. Merge them as models: models: [{model: BASE+ADAPTER}, …]"
                )


def _way(adapter: Adapter, name: str) -> str | None:
    """How an adapter changes a tensor; None if it leaves it as it was."""
    change = adapter.changes[name]
    if change.low_rank:
        return f"by factors of {_module(change.low_rank[0]).rpartition('.')[2]}"
    return "as a whole" if change.replacement or change.added else None


def _check_ties(adapters: Sequence[Adapter], base: Checkpoint) -> None:
    """Refuses to average a head of its own with one that follows its embedding."""
    tie = Names(base).tie
    if tie is None:
        return
    untied = [adapter for adapter in adapters if tie.head in adapter.changes]
    for other in adapters:
        if untied and other not in untied and tie.embedding in other.changes:
            raise AdapterError(
                f"{tie.head}: {untied[0].label} has one of its own, in {other.label} it is the "
                f"{tie.embedding}, which that changes; they have no mean. Merge them as models: "
                "models: [{model: BASE+ADAPTER}, …]"
            )


def _matrices(adapters: Sequence[Adapter]) -> list[Matrix]:
    found: dict[str, Matrix] = {}
    for adapter in adapters:
        for name, change in adapter.changes.items():
            if not change.low_rank:
                continue
            product = change.low_rank[0]
            up, down = (adapter.file.tensors[key] for key in (product.up, product.down))
            matrix = Matrix(
                name,
                change.source,
                _module(product),
                (up.shape[0], down.shape[1]),
                embedding="lora_embedding" in product.down,
                turned=product.transposed,
            )
            found.setdefault(name, matrix)
            if change.magnitude is not None:
                found[name] = replace(found[name], decomposed=True)
    if not found:
        raise AdapterError(
            f"{', '.join(adapter.label for adapter in adapters)}: train whole tensors alone; "
            "merge them as models: models: [{model: BASE+ADAPTER}, …]"
        )
    return [found[name] for name in sorted(found)]


def _module(product: LowRank) -> str:
    return _PART.sub("", product.down)


def _wholes(adapters: Sequence[Adapter], base: Checkpoint) -> list[Whole]:
    found: dict[str, Whole] = {}
    for adapter in adapters:
        for name, change in adapter.changes.items():
            key = change.replacement or next((key for key, _ in change.added), None)
            if key is None:
                continue
            parameter = parameter_of(key)
            saved = not parameter.endswith(BIAS) or adapter.config.saves(
                parameter.rpartition(".")[0]
            )
            whole = Whole(name, change.source, parameter, change.info.shape, saved)
            if saved or name not in found:
                found[name] = whole
    listed = [found[name] for name in sorted(found)]
    tie = Names(base).tie
    if tie and tie.embedding in found and all(tie.head not in each.changes for each in adapters):
        listed.append(replace(found[tie.embedding], parameter=tie.head, saved=False, tied=True))
    return listed
