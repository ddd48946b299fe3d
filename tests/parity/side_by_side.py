"""Follows one recipe with both programs, and compares the two folders tensor by tensor."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from safetensors.torch import load_file
from torch import Tensor

from evomerge.api import merge
from evomerge.recipe import Recipe

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    mergekit = pytest.importorskip("mergekit.merge")
    from mergekit.config import MergeConfiguration

# The largest difference allowed, as a share of the tensor's largest value.
TOLERANCE = 1e-5

Tree = Mapping[str, object]
Tensors = Mapping[str, Tensor]


@dataclass(frozen=True)
class Model:
    """What a folder holds."""

    tensors: Tensors
    config: Mapping[str, object]


@dataclass(frozen=True)
class Pair:
    """One recipe, followed twice."""

    ours: Model
    theirs: Model


def follow(tree: Tree, out: Path, **options) -> Pair:
    """Both programs' models of one recipe; ``options`` are mergekit's."""
    out.mkdir(exist_ok=True)
    merge(Recipe.from_tree(tree), out / "ours")
    by_mergekit(tree, out / "theirs", **options)
    return Pair(read(out / "ours"), read(out / "theirs"))


def by_mergekit(tree: Tree, out: Path, **options) -> None:
    """Has mergekit follow a recipe, with its bars and remarks switched off."""
    chosen = mergekit.MergeOptions(**{"quiet": True, "copy_tokenizer": False, **options})
    with _quiet():
        mergekit.run_merge(MergeConfiguration.model_validate(tree), str(out), chosen)


@contextmanager
def _quiet() -> Iterator[None]:
    level = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


def read(folder: Path) -> Model:
    """All tensors of a model folder, and its config.json."""
    return Model(weights(folder), json.loads((folder / "config.json").read_text("utf-8")))


def weights(folder: Path) -> dict[str, Tensor]:
    """All tensors of a model folder."""
    shards = [load_file(shard) for shard in sorted(folder.glob("*.safetensors"))]
    return {name: tensor for shard in shards for name, tensor in shard.items()}


def difference(ours: Tensor, theirs: Tensor) -> float:
    """The largest difference of two tensors as a share of the largest value."""
    first, second = ours.double(), theirs.double()
    assert first.isfinite().all()
    distance = float((first - second).abs().max()) if first.numel() else 0.0
    largest = float(second.abs().max()) if second.numel() else 0.0
    return distance / largest if largest else distance


def assert_same(
    pair: Pair,
    *,
    tolerance: float = TOLERANCE,
    ours_as_theirs: Callable[[Tensors], Tensors] = dict,
    config: tuple[str, ...] = (),
    left_out: tuple[str, ...] = (),
) -> None:
    """Both have the same tensors, of the same types, and the same config.json.

    Args:
        pair: what to compare.
        tolerance: the largest difference of a tensor, as a share of its largest value.
        ours_as_theirs: gives our tensors the names that mergekit writes.
        config: keys of config.json in which mergekit's is wrong, and so may differ.
        left_out: tensors that mergekit may leave out, though the model is not the same without.
    """
    ours, theirs = ours_as_theirs(pair.ours.tensors), pair.theirs.tensors
    ours = {name: t for name, t in ours.items() if name in theirs or name not in left_out}
    assert sorted(ours) == sorted(theirs)
    assert {name: t.dtype for name, t in ours.items()} == {n: t.dtype for n, t in theirs.items()}
    assert {name: t.shape for name, t in ours.items()} == {n: t.shape for n, t in theirs.items()}
    found = {name: difference(tensor, theirs[name]) for name, tensor in ours.items()}
    assert {name: worst for name, worst in found.items() if worst > tolerance} == {}
    assert _without(pair.ours.config, config) == _without(pair.theirs.config, config)


def _without(config: Mapping[str, object], keys: tuple[str, ...]) -> Mapping[str, object]:
    return {key: value for key, value in config.items() if key not in keys}
