"""Promises every method keeps in a whole merge: threads, shards and engines do not show."""

from __future__ import annotations

import numpy as np
import pytest

from evomerge.dtypes import BFLOAT16
from evomerge.merging import blocks
from evomerge.merging.stream import Options
from evomerge.methods.base import merge_methods
from tests.merging.tiny import METHODS, llama, merged, model, recipe, same, tuned

WIDE = "model.layers.0.wide.weight"
# Two tensors of several tiles, one of which also has a row wider than a tile.
SHAPES = {WIDE: (3, 70_000), "model.layers.1.tall.weight": (40_000, 5)}
# Densities and a word: the parameters under which the family of thinned task vectors does most.
ELABORATE = {"density": 0.6, "epsilon": 0.3, "gamma": 0.05, "rescale": True}


@pytest.fixture(scope="module")
def tensors():
    """A base and two fine-tunes in bfloat16, small but for two tensors."""
    rng = np.random.default_rng(0)
    base = llama(0, layers=2, dtype=BFLOAT16)
    for name, shape in SHAPES.items():
        base[name] = rng.standard_normal(shape).astype(BFLOAT16)
    return [base, *(tuned(base, seed) for seed in (1, 2))]


@pytest.fixture(scope="module")
def folders(module_folder, tensors):
    return [model(module_folder / f"whole-{i}", each) for i, each in enumerate(tensors)]


@pytest.fixture(params=METHODS)
def tree(request, folders):
    """``tree(folders)``: a recipe of each method, with parameters that keep it busy."""
    method = merge_methods[request.param]

    def make(base, *models):
        models = models[: (method.models[1] or 2) - (method.base == "first")]
        needs_base = {"base": base} if method.base in {"first", "required"} else {}
        given = {name: 0.5 for name, param in method.params.items() if param.required}
        given |= {name: value for name, value in ELABORATE.items() if name in method.params}
        return recipe(request.param, *models, **needs_base, **given, seed=3)

    return make


@pytest.fixture
def expected(tree, folders):
    return merged(tree(*folders), Options(threads=1))


@pytest.mark.parametrize("threads", [2, 4])
def test_the_number_of_threads_does_not_change_a_bit(tree, folders, expected, threads):
    same(merged(tree(*folders), Options(threads=threads)), expected)


def test_the_block_size_does_not_change_a_bit(tree, folders, expected, monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK", blocks.TILE)
    monkeypatch.setattr(blocks, "KEEP_BYTES", 0)
    same(merged(tree(*folders), Options(threads=2)), expected)


@pytest.mark.parametrize(("shards", "backwards"), [(1, True), (3, False), (4, True)])
def test_the_order_of_shards_does_not_change_a_bit(
    tree, tensors, expected, tmp_path, shards, backwards
):
    again = [
        model(tmp_path / f"again-{i}", each, shards=shards, backwards=backwards)
        for i, each in enumerate(tensors)
    ]
    same(merged(tree(*again), Options(threads=2)), expected)


def test_torch_gives_the_same_to_the_last_place(tree, folders, expected):
    found = merged(tree(*folders), Options(kernels=False))
    for name, array in expected.items():
        left, right = (x.view(np.int16).astype(int) for x in (found[name], array))
        apart = np.abs(
            np.where(left < 0, -32768 - left, left) - np.where(right < 0, -32768 - right, right)
        )
        # Next to zero a unit in the last place is smaller than the rounding of the terms.
        small = np.abs(array.astype(np.float32)) < 1e-3
        assert apart[~small].max(initial=0) <= 1, name
        np.testing.assert_allclose(
            found[name][small].astype(np.float32), array[small].astype(np.float32), atol=1e-5
        )
