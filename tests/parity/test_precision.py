"""In 16 bits our models are at least as near to the exact result as mergekit's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from tests.parity.conftest import Zoo
from tests.parity.side_by_side import Pair, follow, weights
from tests.parity.truth import ON_TASK_VECTORS, ON_WEIGHTS, Array

pytestmark = pytest.mark.parity

# Both programs round sums in float32 once: now and then to different neighbours, equally far.
EVEN = 1 + 1e-4


@dataclass(frozen=True)
class Exact:
    """A method with parameters, for both programs and for its formula.

    Attributes:
        method: its name.
        each: by parameter, a number for each model.
        shared: by parameter, a number for all.
        models: what is merged, beside the base of task vectors.
    """

    method: str
    each: Mapping[str, Sequence[float]] = field(default_factory=dict)
    shared: Mapping[str, float] = field(default_factory=dict)
    models: Sequence[str] = ("expert_1", "expert_2", "expert_3")

    def __str__(self) -> str:
        return self.method

    def recipe(self, kind: str) -> dict[str, object]:
        models = [
            {
                "model": f"{kind}/{name}",
                "parameters": {key: numbers[i] for key, numbers in self.each.items()},
            }
            for i, name in enumerate(self.models)
        ]
        based = self.method in ON_TASK_VECTORS or "base" in self.models
        base = {"base_model": f"{kind}/base"} if based else {}
        return {"merge_method": self.method, "models": models, "parameters": self.shared, **base}

    def truth(self, tensors: Mapping[str, Array]) -> Array:
        """The exact result for one tensor, in float64, of the models' tensors by model."""
        models = np.stack([tensors[name] for name in self.models])
        given = {**self.each, **self.shared}
        if "lambda" in given:
            given["scale"] = given.pop("lambda")
        if self.method in ON_TASK_VECTORS:
            base = tensors["base"]
            return base + ON_TASK_VECTORS[self.method](models - base, **given)
        if "scale" in given:
            given["scale"] = given["scale"][0]
        return ON_WEIGHTS[self.method](models, **given)


WEIGHT = {"weight": (0.7, 0.4, 0.9)}
DENSITY = {"density": (0.5, 0.31, 0.8)}

ON_MODELS = [
    Exact("linear", WEIGHT),
    Exact("passthrough", {"scale": (0.7,)}, models=("expert_1",)),
    Exact("slerp", shared={"t": 0.35}, models=("base", "expert_1")),
    Exact("nuslerp", {"weight": (0.7, 0.4)}, models=("expert_1", "expert_2")),
    Exact("multislerp", WEIGHT),
    Exact("karcher"),
]
ON_CHANGES = [
    Exact("task_arithmetic", WEIGHT, {"lambda": 0.8}),
    Exact("ties", {**WEIGHT, **DENSITY}, {"lambda": 0.8}),
    Exact("breadcrumbs", {**WEIGHT, **DENSITY}, {"gamma": 0.05}),
    Exact("breadcrumbs_ties", {**WEIGHT, **DENSITY}, {"gamma": 0.05}),
    Exact("model_stock"),
]
SIXTEEN_BITS = ["bfloat16", "float16"]


def errors(exact: Exact, kind: str, zoo: Zoo, out: Path, **dtypes: str) -> tuple[float, float]:
    """The mean distances to the exact result, over all elements: ours, and mergekit's."""
    tree = zoo({**exact.recipe(kind), **dtypes})
    base = Path(zoo({"model": f"{kind}/base"})["model"])
    names = {*exact.models, "base"}
    models = {name: weights(base.parent / name) for name in names}
    found = list(_distances(exact, follow(tree, out), models))
    ours, theirs = (np.concatenate(each) for each in zip(*found, strict=True))
    assert ours.size > 0.9 * sum(tensor.numel() for tensor in models["base"].values())
    return ours.mean(), theirs.mean()


def _distances(
    exact: Exact, pair: Pair, models: Mapping[str, Mapping[str, object]]
) -> Iterator[tuple[Array, Array]]:
    for name in models["base"]:
        truth = exact.truth({m: t[name].double().numpy() for m, t in models.items()})
        certain = ~np.isnan(truth)
        merges = (model.tensors[name].double().numpy() for model in (pair.ours, pair.theirs))
        ours, theirs = (np.abs(merge - truth)[certain] for merge in merges)
        yield ours, theirs


@pytest.mark.parametrize("exact", ON_MODELS, ids=str)
@pytest.mark.parametrize("dtype", SIXTEEN_BITS)
def test_means_of_models_are_as_exact(tmp_path: Path, zoo: Zoo, exact: Exact, dtype: str):
    ours, theirs = errors(exact, dtype, zoo, tmp_path, dtype=dtype)
    assert ours <= theirs * EVEN


@pytest.mark.parametrize("exact", ON_CHANGES, ids=str)
@pytest.mark.parametrize("dtype", SIXTEEN_BITS)
def test_merged_task_vectors_are_more_exact(tmp_path: Path, zoo: Zoo, exact: Exact, dtype: str):
    ours, theirs = errors(exact, dtype, zoo, tmp_path, dtype=dtype)
    assert ours < 0.95 * theirs


@pytest.mark.parametrize("exact", [*ON_MODELS, *ON_CHANGES], ids=str)
def test_the_formulas_are_those_of_both_programs(tmp_path: Path, zoo: Zoo, exact: Exact):
    """In float32, both are within rounding errors: so the truth is one."""
    ours, theirs = errors(exact, "float32", zoo, tmp_path, dtype="float32")
    assert max(ours, theirs) < 1e-7
