"""Trims of whole models keep as many elements as mergekit's, and differ only where sizes tie."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.parity.conftest import Zoo
from tests.parity.side_by_side import TOLERANCE, assert_same, follow, weights

pytestmark = pytest.mark.parity

# Numbers of bfloat16 in float32: changes are exact, and many are equally large.
KIND = "bfloat16"
EXPERTS = ("expert_1", "expert_2", "expert_3")
DENSITIES = (0.5, 0.2, 0.83)
GAMMAS = (0.01, 0.1, 0.3)
CASES = [
    pytest.param(method, shared, id=f"{method} {shared}")
    for method in ("ties", "breadcrumbs", "breadcrumbs_ties")
    for shared in ({}, {"rescale": True}, {"normalize": True})
]


def trimming(method: str, experts: int = 3, **shared) -> dict[str, object]:
    models = []
    for name, density, gamma in list(zip(EXPERTS, DENSITIES, GAMMAS, strict=True))[:experts]:
        own = {"weight": 0.6, "density": density}
        if method != "ties":
            own["gamma"] = gamma
        models.append({"model": f"{KIND}/{name}", "parameters": own})
    tree = {"merge_method": method, "base_model": f"{KIND}/base", "models": models}
    return {**tree, "parameters": shared, "dtype": "float32"}


def thresholds(sizes: Tensor, method: str, density: float, gamma: float) -> set[float]:
    """The sizes at the ends of what is kept, by the definition of the trim."""
    order = sizes.flatten().sort(descending=True).values
    count = len(order)
    if method == "ties":
        return {float(order[max(1, int(density * count)) - 1])}
    kept, top = int(density * count), int(gamma * count)
    smallest = max(0, count - kept - top)
    first = count - smallest - kept
    ends = (first - 1, first, count - smallest - 1, count - smallest)
    return {float(order[i]) for i in ends if 0 <= i < count}


def changes(zoo: Zoo) -> dict[str, list[Tensor]]:
    """By tensor, the difference between each expert and the base."""
    folder = Path(zoo({"model": f"{KIND}/base"})["model"])
    base, *experts = (weights(folder.parent / name) for name in ("base", *EXPERTS))
    return {n: [expert[n].float() - base[n].float() for expert in experts] for n in base}


@pytest.mark.parametrize(("method", "shared"), CASES)
def test_only_elements_at_a_threshold_differ(tmp_path: Path, zoo: Zoo, method: str, shared: dict):
    pair = follow(zoo(trimming(method, **shared)), tmp_path)
    total = differing = 0
    for name, deltas in changes(zoo).items():
        ours, theirs = pair.ours.tensors[name], pair.theirs.tensors[name]
        apart = (ours - theirs).abs() > TOLERANCE * theirs.abs().max()
        at_threshold = torch.zeros_like(apart)
        for delta, density, gamma in zip(deltas, DENSITIES, GAMMAS, strict=True):
            for size in thresholds(delta.abs(), method, density, gamma):
                at_threshold |= delta.abs() == size
        assert not (apart & ~at_threshold).any(), name
        total, differing = total + apart.numel(), differing + int(apart.sum())
    assert differing < 0.02 * total


@pytest.mark.parametrize("method", ["ties", "breadcrumbs"])
def test_as_many_elements_are_kept(tmp_path: Path, zoo: Zoo, method: str):
    pair = follow(zoo(trimming(method, 1, lambda_=1) | {"parameters": {}}), tmp_path)
    tree = zoo({"model": f"{KIND}/base"})
    base = weights(Path(tree["model"]))
    for name, (delta, *_) in changes(zoo).items():
        kept = [
            int((model.tensors[name] != base[name].float()).sum())
            for model in (pair.ours, pair.theirs)
        ]
        assert kept[0] == kept[1], name
        expected = max(1, int(DENSITIES[0] * delta.numel()))
        assert kept[0] == min(expected, int((delta != 0).sum())), name


@pytest.mark.parametrize("density", [-0.5, 0.0, 1.0, 1.5])
@pytest.mark.parametrize("method", ["ties", "breadcrumbs", "breadcrumbs_ties"])
def test_densities_beyond_the_ends_act_as_in_mergekit(
    tmp_path: Path, zoo: Zoo, method: str, density: float
):
    tree = zoo(trimming(method, 2))
    tree["models"][0]["parameters"]["density"] = density
    tree["models"][1]["parameters"]["density"] = 1
    if 0 <= density <= 1:
        assert_same(follow(tree, tmp_path))
        return
    with pytest.warns(UserWarning, match="lies outside"):
        pair = follow(tree, tmp_path)
    assert_same(pair)
