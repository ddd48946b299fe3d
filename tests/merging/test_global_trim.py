"""Promises of TIES with ``trim: global``: the whole model is one vector."""

from __future__ import annotations

import numpy as np
import pytest

from evomerge.dtypes import BFLOAT16, FLOAT32
from evomerge.merging.stream import Options
from tests.merging.tiny import (
    EMBEDDING,
    HEAD,
    NORM,
    UP,
    collected,
    llama,
    merged,
    model,
    of_layer,
    plan_of,
    recipe,
    same,
    tuned,
)


@pytest.fixture
def pair(tmp_path):
    """``pair(dtype)``: folders and tensors of a base and a fine-tune full of ties."""

    def make(dtype=FLOAT32):
        rng = np.random.default_rng(5)
        base = {name: array.round(1) for name, array in llama(0).items()}
        steps = np.array([0.0, 0.25, -0.25, 0.5, -0.5, 1.0, 2.0])
        expert = {
            name: array + rng.choice(steps, array.shape) * (1 + ("mlp" in name))
            for name, array in base.items()
        }
        tensors = [{n: a.astype(dtype) for n, a in each.items()} for each in (base, expert)]
        return [model(tmp_path / n, t) for n, t in zip("be", tensors, strict=True)], tensors

    return make


def by_hand(base, expert, names, density):
    """The flattened model in the order of the output, sorted; of equal magnitudes the first."""
    deltas = {n: expert[n].astype(np.float32) - base[n].astype(np.float32) for n in names}
    flat = np.concatenate([deltas[name].ravel() for name in names])
    rank = max(1, int(density * len(flat)))
    kept = np.zeros(len(flat), bool)
    kept[np.argsort(-np.abs(flat), kind="stable")[:rank]] = True
    masks = np.split(kept, np.cumsum([deltas[name].size for name in names])[:-1])
    return {
        name: base[name].astype(np.float32) + deltas[name] * mask.reshape(deltas[name].shape)
        for name, mask in zip(names, masks, strict=True)
    }


@pytest.mark.parametrize("kernels", [True, False], ids=["fused", "torch"])
@pytest.mark.parametrize("density", [0.01, 0.2, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("dtype", [FLOAT32, BFLOAT16], ids=str)
def test_it_is_the_sort_of_the_flattened_model(pair, dtype, density, kernels):
    (base, expert), tensors = pair(dtype)
    tree = recipe("ties", expert, base=base, weight=1, density=density, trim="global")
    plan = plan_of(tree | {"out_dtype": "float32"})
    names = [tensor.info.name for tensor in plan.tensors]
    same(collected(plan, Options(kernels=kernels)), by_hand(*tensors, names, density))


def test_a_trim_by_tensor_is_something_else(pair):
    (base, expert), _ = pair()
    trees = [
        recipe("ties", expert, base=base, weight=1, density=0.3, trim=t)
        for t in ("global", "tensor")
    ]
    one, other = (merged(tree) for tree in trees)
    assert any(not np.array_equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_threads_do_not_change_a_bit(pair, threads):
    (base, expert), _ = pair()
    tree = recipe("ties", expert, base=base, weight=1, density=0.3, trim="global", rescale=True)
    same(merged(tree, Options(threads=threads)), merged(tree, Options(threads=1)))


def test_it_may_hold_for_some_tensors_only(pair):
    (base, expert), tensors = pair()
    trim = [{"filter": "mlp", "value": "global"}, {"value": "tensor"}]
    tree = recipe("ties", expert, base=base, weight=1, density=0.3, trim=trim)
    found = merged(tree)
    pooled = [name for name in found if "mlp" in name]
    for name, array in by_hand(*tensors, pooled, 0.3).items():
        np.testing.assert_array_equal(found[name], array)
    for name in (EMBEDDING, NORM, HEAD):
        np.testing.assert_array_equal(found[name], by_hand(*tensors, [name], 0.3)[name])


def test_each_tensor_is_cut_where_its_own_density_cuts_the_whole(pair):
    (base, expert), tensors = pair()
    density = [{"filter": "mlp", "value": 0.1}, {"value": 0.6}]
    tree = recipe("ties", expert, base=base, weight=1, density=density, trim="global")
    found = merged(tree)
    names = list(found)
    few, many = (by_hand(*tensors, names, d) for d in (0.1, 0.6))
    for name in names:
        np.testing.assert_array_equal(found[name], (few if "mlp" in name else many)[name])


def test_rescaling_restores_the_norm_of_the_whole(pair):
    # One factor for all tensors, not one for each.
    (base, expert), tensors = pair()
    options = {"weight": 1, "density": 0.2, "trim": "global"}
    found = merged(recipe("ties", expert, base=base, rescale=True, **options))
    thinned = by_hand(*tensors, list(found), 0.2)
    before, after = (
        sum(np.abs(each[name] - tensors[0][name]).sum() for name in found)
        for each in (tensors[1], thinned)
    )
    for name, array in found.items():
        grown = tensors[0][name] + before / after * (thinned[name] - tensors[0][name])
        np.testing.assert_allclose(array, grown, atol=1e-5)


def test_several_models_are_each_trimmed_on_their_own(tmp_path):
    base = llama(0)
    experts = [tuned(base, seed, change=seed) for seed in (1, 2, 3)]
    folders = [model(tmp_path / str(i), each) for i, each in enumerate([base, *experts])]
    tree = recipe(
        "ties", *folders[1:], base=folders[0], weight=1, density=0.3, trim="global", normalize=True
    )
    found = merged(tree)
    names = list(found)
    thinned = [by_hand(base, expert, names, 0.3) for expert in experts]
    for name in names:
        votes = np.stack([each[name] - base[name] for each in thinned])
        sign = np.where(votes.sum(axis=0) >= 0, 1, -1)
        agree = votes * sign > 0
        mean = (votes * agree).sum(axis=0) / np.maximum(agree.sum(axis=0), 1)
        np.testing.assert_allclose(found[name], base[name] + mean, atol=1e-5)


def test_a_bias_that_one_model_lacks_is_ranked_with_its_like(tmp_path):
    # Tensors of the same models are ranked together.
    bias = of_layer(0, "mlp.up_proj.bias")
    tensors = [tuned(llama(0), seed) for seed in range(3)]
    for each, value in zip(tensors[:2], (0.0, 1.0), strict=True):
        each[bias] = np.full(12, value, np.float32) * np.arange(12, dtype=np.float32)
    folders = [model(tmp_path / str(i), each) for i, each in enumerate(tensors)]
    tree = recipe("ties", *folders[1:], base=folders[0], weight=1, density=0.25, trim="global")
    found = merged(tree)[bias]
    np.testing.assert_array_equal(found, [0] * 9 + [9, 10, 11])
    assert of_layer(0, UP) in merged(tree)
