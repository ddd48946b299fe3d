"""How far fine-tuned models have moved from their base, and how much in the same direction.

A task vector is what fine-tuning added to the base, all its tensors as one long vector [1]. Lengths
and angles between such vectors follow from their inner products, which are summed here tensor by
tensor: in float64, from blocks of rows that are read from disk, so a model is never in memory.

[1] G. Ilharco et al. Editing models with task arithmetic. ICLR 2023.
    https://arxiv.org/abs/2212.04089
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from evomerge.errors import MergeError
from evomerge.families import Family
from evomerge.inspection.contents import KINDS, group_of
from evomerge.kernels.block import Block
from evomerge.kernels.primitives import gram
from evomerge.kernels.sums import Floats
from evomerge.merging.models import Models, open_references, with_sources
from evomerge.merging.plan import Plan, TensorPlan, plan_merge
from evomerge.merging.stream import Merger, Options, Progress, make_all
from evomerge.recipe import ModelReference, Recipe

Division = Literal["layer", "kind", "tensor"]


@dataclass(frozen=True)
class Part:
    """Some tensors of the models, or all of them, as one vector.

    Attributes:
        name: which.
        parameters: elements of one model.
        base: the squared length of the base.
        inner: ``(models, models)``: the inner products of the task vectors.
    """

    name: str
    parameters: int
    base: float
    inner: Floats

    @property
    def norms(self) -> list[float]:
        """``(models,)``: the lengths of the task vectors."""
        lengths: list[float] = np.sqrt(np.diag(self.inner)).tolist()
        return lengths

    @property
    def relative(self) -> list[float | None]:
        """``(models,)``: the same as shares of the base's length; None where that is zero."""
        return [norm / self.base**0.5 if self.base else None for norm in self.norms]

    @property
    def cosines(self) -> list[list[float | None]]:
        """``(models, models)``, in [-1, 1]; None where a task vector is zero."""
        norms = self.norms
        return [
            [_cosine(product, one * other) for product, other in zip(row, norms, strict=True)]
            for row, one in zip(self.inner.tolist(), norms, strict=True)
        ]


@dataclass(frozen=True)
class TaskVectors:
    """The task vectors of some models from one base.

    Attributes:
        base: what the base is called; None where it is zero, so that vectors are the weights.
        models: what the models are called, in the order asked for.
        whole: all that they share.
        parts: of it, in the order of the model.
    """

    base: str | None
    models: tuple[str, ...]
    whole: Part
    parts: tuple[Part, ...]


def plan_reading(base: ModelReference | None, models: Sequence[ModelReference]) -> Plan:
    """How to read models beside their base; refuses what a merge of them would refuse.

    Args:
        base: what the models were fine-tuned from; None for zero.
        models: one or more.

    Raises:
        CheckpointError: a model cannot be found or read.
        VocabularyError: they differ in their number of tokens.
        MergeError: they are not of one shape, or one is named twice.
    """
    _check_named_once(base, models)
    weighted = [{"model": each.written(), "parameters": {"weight": 1.0}} for each in models]
    tree: dict[str, object] = {"merge_method": "linear", "models": weighted}
    if base is not None:
        tree |= {"merge_method": "task_arithmetic", "base_model": base.written()}
    recipe = Recipe.from_tree(tree)
    listed = models if base is None else [base, *models]
    opened = with_sources(recipe, open_references(listed))
    _check_depths(opened)
    return plan_merge(recipe, opened)


def measure(plan: Plan, by: Division = "layer", progress: Progress | None = None) -> TaskVectors:
    """Measures task vectors.

    A tensor that a model may lack, and lacks, adds nothing to its vector; one that only the base
    has is left out.

    Args:
        plan: of `plan_reading`.
        by: what the parts are: layers, kinds of tensors, or single tensors.
        progress: called from several threads with the number of finished elements.

    Raises:
        MergeError: a model holds NaN or infinity.
    """
    references = [entry.model for entry in plan.recipe.models]
    models = [plan.models.by_reference[reference] for reference in references]
    places = {model.index: place for place, model in enumerate(models)}
    merger = Merger(plan, Options(allow_nan=True))
    found: dict[str, Part] = {}

    def read(tensor: TensorPlan) -> None:
        if tensor.parameters is None:
            merger.check(tensor)
        elif tensor.info.size:
            found[tensor.info.name] = _measured(merger, tensor, places)
        if progress is not None:
            progress(tensor.info.size)

    make_all(merger, plan.tensors, read)
    # In the plan's order, whichever was done first: sums are the same to the last bit.
    parts = [found[tensor.info.name] for tensor in plan.tensors if tensor.info.name in found]
    return TaskVectors(
        None if plan.recipe.base_model is None else plan.models.donor.source.label,
        tuple(model.source.label for model in models),
        _joined("whole", parts, len(models)),
        tuple(_divided(parts, by, plan.models.family, len(models))),
    )


def _check_named_once(base: ModelReference | None, models: Sequence[ModelReference]) -> None:
    for place, model in enumerate(models):
        if model == base:
            raise MergeError(f"{model}: is the base; name the models that were made from it")
        if model in models[:place]:
            raise MergeError(f"{model}: stands there twice; name each model once")


def _check_depths(models: Models) -> None:
    depths = models.layers()
    base = depths[models.donor_reference]
    for reference, layers in depths.items():
        if layers != base:
            raise MergeError(
                f"{models.by_reference[reference].source.label}: has {layers} layers, "
                f"{models.donor.source.label} has {base}; only models of one depth can be "
                "subtracted"
            )


def _measured(merger: Merger, tensor: TensorPlan, places: dict[int, int]) -> Part:
    """One tensor. ``places``: where a model stands among all, by its index."""
    lengths: list[float] = []

    def watched() -> Iterator[Block]:
        for block in merger.blocks(tensor).last():
            lengths.append(_base_length(block))
            yield block

    here = [places[each.model] for each in tensor.inputs]
    products = gram(watched())
    _check_finite(tensor, sum(lengths), products)
    inner = np.zeros((len(places), len(places)))
    inner[np.ix_(here, here)] = products
    return Part(tensor.info.name, tensor.info.size, sum(lengths), inner)


def _base_length(block: Block) -> float:
    """The squared length of the base's rows."""
    if block.base is None:
        return 0.0
    alone = Block([block.base], None, None, block.where, block.engine)
    return float(gram([alone])[0, 0])


def _check_finite(tensor: TensorPlan, base: float, products: Floats) -> None:
    whole = np.isfinite([base, *np.diag(products)])
    for each, finite in zip((tensor.base, *tensor.inputs), whole, strict=True):
        if each is not None and not finite:
            raise MergeError(
                f"{each.name}: {each.source.label} holds NaN or infinity, or numbers that differ "
                "by more than float32 can hold; mend the model"
            )


def _divided(parts: Sequence[Part], by: Division, family: Family, models: int) -> Iterator[Part]:
    groups: dict[str, list[Part]] = {}
    for part in parts:
        groups.setdefault(_group(part.name, by, family), []).append(part)
    names = [kind for kind in KINDS if kind in groups] if by == "kind" else list(groups)
    return (_joined(name, groups[name], models) for name in names)


def _group(name: str, by: Division, family: Family) -> str:
    if by == "tensor":
        return name
    if by == "kind":
        return group_of(family, name)
    layer = family.layer_of(name)
    return family.part_of(name) if layer is None else str(layer)


def _joined(name: str, parts: Iterable[Part], models: int) -> Part:
    """Several parts as one vector."""
    listed = list(parts)
    inner = sum((part.inner for part in listed), np.zeros((models, models)))
    parameters = sum(part.parameters for part in listed)
    return Part(name, parameters, sum(part.base for part in listed), inner)


def _cosine(product: float, lengths: float) -> float | None:
    return max(-1.0, min(1.0, product / lengths)) if lengths else None
