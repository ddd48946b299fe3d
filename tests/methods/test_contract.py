"""Promises every merge method keeps. A new method is tested here without being named."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest

from evomerge.dtypes import BFLOAT16, FLOAT16, FLOAT32, FLOAT64
from evomerge.errors import MergeError
from evomerge.merging import blocks
from evomerge.methods.base import merge_methods
from tests.methods.in_memory import family, merged, parameters_of

SEEDS = range(3)
# A scalar, vectors, single rows and columns, matrices, stacks of matrices.
SHAPES = [(), (1,), (7,), (1, 5), (5, 1), (1, 1), (13, 9), (2, 3, 4), (2, 3, 2, 2)]
# Rows wider than a tile; many tiles, the last one short; tiles of several rows of three axes.
LARGE = [(2, 70_001), (201, 1000), (3, 100, 300)]
# Take some of a model's numbers, and the others from the base, even if all models agree.
TAKING_PART = {"arcee_fusion"}


@pytest.fixture(params=sorted(merge_methods))
def method(request):
    return merge_methods[request.param]


def count(method, most=3):
    """How many models the method is tried with, the base not counted."""
    limit = method.models[1] or most
    return min(most, limit - (method.base == "first"))


def models(method, seed, shape, dtype=FLOAT32, most=3):
    """``(arrays, base)``: a base and its fine-tunes, as the method takes them."""
    base, siblings = family(seed, shape, count(method, most), dtype)
    if method.base == "input":
        return [base, *siblings][: method.models[1] or most], None
    return siblings, base


def legal(method, inputs, seed):
    """Parameters drawn from what a method declares: for each model alone, then all together."""
    rng = np.random.default_rng(seed)
    given = drawn(method, rng)
    for _ in range(inputs - 1):
        one = drawn(method, rng)
        for param in method.params.values():
            if param.per_model:
                given[param.name] += one[param.name]
    method.check(parameters_of(method.name, inputs, given))
    return given


def drawn(method, rng):
    """Legal parameters for one model."""
    for _ in range(1000):
        given = {
            param.name: [draw(param, rng)] if param.per_model else draw(param, rng)
            for param in method.params.values()
        }
        with suppress(MergeError):
            method.check(parameters_of(method.name, 1, given))
            return given
    raise AssertionError(f"{method.name}: its ranges hold nothing that it takes")


def draw(param, rng):
    if param.options:
        return param.options[rng.integers(len(param.options))]
    if isinstance(param.default, bool):
        return bool(rng.integers(2))
    return param.default if param.search is None else float(rng.uniform(*param.search))


def inputs_of(method, arrays):
    return len(arrays) + (method.base == "first")


def drawn_merge(method, seed, shape, dtype=FLOAT32, **options):
    """A merge of random models with random legal parameters."""
    arrays, base = models(method, seed, shape, dtype)
    given = legal(method, inputs_of(method, arrays), seed)
    return merged(method.name, arrays, base=base, **{**given, **options})


def spread(arrays, base):
    """How far rounding can carry: one unit in the last place of the largest number involved."""
    numbers = [
        np.abs(np.asarray(a, np.float64)).max(initial=0) for a in [*arrays, base] if a is not None
    ]
    return 8 * float(np.spacing(np.float32(max(numbers))))


def merge_of_copies(method, shape, **options):
    """``(merge, model, tolerance)`` of several copies of one model, with equal shares."""
    base, (model,) = family(0, shape, 1)
    model, base = (array.astype(options.get("work", FLOAT32)) for array in (model, base))
    base = {"input": None, "first": model}.get(method.base, base)
    copies = [model.copy() for _ in range(count(method))]
    shares = {"weight": [1 / len(copies)] * len(copies)} if "weight" in method.params else {}
    found = merged(method.name, copies, base=base, **shares, **options)
    if method.name in TAKING_PART:
        model = np.where(np.abs(found - model) < np.abs(found - base), model, base)
    return found, model, spread(copies, base)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("reference", [False, True], ids=["fused", "torch"])
def test_agreeing_models_are_left_alone(method, shape, reference):
    found, model, tolerance = merge_of_copies(method, shape, reference=reference)
    np.testing.assert_allclose(found, model, rtol=0, atol=tolerance)


def test_float64_is_computed_in_float64(method):
    found, model, tolerance = merge_of_copies(method, (13, 9), work=FLOAT64)
    assert found.dtype == FLOAT64
    np.testing.assert_allclose(found, model, rtol=0, atol=1e-8 * tolerance)


@pytest.mark.parametrize("seed", SEEDS)
def test_models_that_are_the_base_give_the_base(method, seed):
    if method.base not in {"optional", "required"}:
        pytest.skip("has no task vectors")
    _, base = models(method, seed, (13, 9))
    copies = [base.copy() for _ in range(count(method))]
    given = legal(method, len(copies), seed)
    np.testing.assert_array_equal(merged(method.name, copies, base=base, **given), base)


@pytest.mark.parametrize("seed", SEEDS)
def test_merging_is_pure(method, seed):
    arrays, base = models(method, seed, (13, 9))
    before = [array.copy() for array in [*arrays, *([] if base is None else [base])]]
    given = legal(method, inputs_of(method, arrays), seed)
    first = merged(method.name, arrays, base=base, **given)
    second = merged(method.name, arrays, base=base, **given)
    np.testing.assert_array_equal(first, second)
    for array, copy in zip([*arrays, base], before, strict=False):
        np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_noise_matters_where_the_method_says_that_it_draws(method, seed):
    """A search that changes the recipe's seed merges only those tensors again."""
    arrays, base = models(method, seed, (13, 9))
    given = legal(method, inputs_of(method, arrays), seed)
    one, other = (merged(method.name, arrays, base=base, seed=s, **given) for s in (1, 2))
    draws = method.draws(parameters_of(method.name, inputs_of(method, arrays), given))
    assert np.array_equal(one, other) == (not draws)


@pytest.mark.parametrize("seed", SEEDS)
def test_parameters_that_are_given_as_defaults_change_nothing(method, seed):
    arrays, base = models(method, seed, (13, 9))
    defaults = {
        name: [param.default] * inputs_of(method, arrays) if param.per_model else param.default
        for name, param in method.params.items()
    }
    np.testing.assert_array_equal(
        merged(method.name, arrays, base=base), merged(method.name, arrays, base=base, **defaults)
    )


@pytest.mark.parametrize("shape", LARGE, ids=str)
@pytest.mark.parametrize("reference", [False, True], ids=["fused", "torch"])
def test_the_block_size_does_not_change_a_bit(method, shape, reference, monkeypatch):
    found = []
    for tiles in (1, 1000) if reference else (1, 3, 1000):
        monkeypatch.setattr(blocks, "BLOCK", tiles * blocks.TILE)
        found.append(drawn_merge(method, shape[0], shape, reference=reference))
    for other in found[1:]:
        np.testing.assert_array_equal(found[0], other)


def test_keeping_a_tensor_in_memory_does_not_change_a_bit(method, monkeypatch):
    kept = drawn_merge(method, 0, (201, 1000))
    monkeypatch.setattr(blocks, "KEEP_BYTES", 0)
    np.testing.assert_array_equal(kept, drawn_merge(method, 0, (201, 1000)))


@pytest.mark.parametrize("shape", [*SHAPES, *LARGE], ids=str)
def test_both_engines_agree(method, shape):
    arrays, base = models(method, 1, shape)
    seed = SHAPES.index(shape) if shape in SHAPES else shape[0]
    given = legal(method, inputs_of(method, arrays), seed)
    left, right = (
        merged(method.name, arrays, base=base, reference=reference, **given)
        for reference in (False, True)
    )
    assert left.shape == shape
    assert np.isfinite(left).all()
    np.testing.assert_allclose(left, right, rtol=0, atol=spread(arrays, base))


@pytest.mark.parametrize("dtype", [BFLOAT16, FLOAT16], ids=str)
@pytest.mark.parametrize("seed", SEEDS)
def test_half_precision_is_computed_in_float32(method, dtype, seed):
    arrays, base = models(method, seed, (13, 9), dtype)
    wide = [array.astype(np.float32) for array in arrays]
    wide_base = None if base is None else base.astype(np.float32)
    given = legal(method, inputs_of(method, arrays), seed)
    np.testing.assert_array_equal(
        merged(method.name, arrays, base=base, **given),
        merged(method.name, wide, base=wide_base, **given),
    )


def test_models_of_different_types_are_merged_exactly(method):
    arrays, base = models(method, 0, (13, 9), BFLOAT16)
    mixed = [array.astype(np.float32 if i % 2 else BFLOAT16) for i, array in enumerate(arrays)]
    given = legal(method, inputs_of(method, arrays), 0)
    np.testing.assert_array_equal(
        merged(method.name, arrays, base=base, **given),
        merged(method.name, mixed, base=base, **given),
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_another_seed_gives_other_masks_or_none(method, seed):
    arrays, base = models(method, seed, (31, 29))
    given = legal(method, inputs_of(method, arrays), seed)
    found = [merged(method.name, arrays, base=base, seed=other, **given) for other in range(3)]
    equal = {np.array_equal(found[i], found[j]) for i in range(3) for j in range(i)}
    assert len(equal) == 1


def test_twelve_models_are_merged(method):
    if method.models[1] is not None:
        pytest.skip(f"takes {method.models[1]} models")
    arrays, base = models(method, 0, (13, 9), most=12)
    given = legal(method, 12, 1)
    left, right = (
        merged(method.name, arrays, base=base, reference=reference, **given)
        for reference in (False, True)
    )
    assert np.isfinite(left).all()
    np.testing.assert_allclose(left, right, rtol=0, atol=4 * spread(arrays, base))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_order_of_models_does_not_matter_where_none_is_special(method, seed):
    # But for rounding, and for masks, which are drawn for the place of a model.
    if method.base == "first":
        pytest.skip("its first model is the base")
    arrays, base = models(method, seed, (13, 9))
    given = legal(method, len(arrays), seed) | {"density": [1.0] * len(arrays)}
    turned = {k: v[::-1] if isinstance(v, list) else v for k, v in given.items()}
    found = merged(method.name, arrays, base=base, **given)
    again = merged(method.name, arrays[::-1], base=base, **turned)
    np.testing.assert_allclose(found, again, rtol=0, atol=16 * spread(arrays, base))


def test_every_declaration_is_complete(method):
    assert method.doc.endswith((".", "]."))
    least, most = method.models
    assert 1 <= least <= (most or least)
    for param in method.params.values():
        assert param.doc, param.name
        assert not param.options or param.default in param.options, param.name
        assert param.search is None or param.search[0] < param.search[1], param.name
