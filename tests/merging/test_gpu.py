"""Promises of a GPU: the masks of the CPU bit for bit, its weights to the last place."""

from __future__ import annotations

import numpy as np
import pytest

from evomerge.dtypes import BFLOAT16, FLOAT16, FLOAT32, FLOAT64
from evomerge.merging.stream import Options
from evomerge.methods.base import merge_methods
from tests.merging.tiny import METHODS, UP, llama, merged, model, of_layer, recipe, tuned

pytestmark = pytest.mark.gpu
LARGE = of_layer(0, "mlp.down_proj.weight")
NAMES = {dtype.name: dtype for dtype in (BFLOAT16, FLOAT16, FLOAT32, FLOAT64)}


@pytest.fixture(scope="module")
def folders(module_folder):
    """``folders(dtype)``: a base and two fine-tunes, one tensor of several tiles."""
    made = {}

    def make(dtype):
        if dtype not in made:
            rng = np.random.default_rng(0)
            base = llama(0, dtype=FLOAT64) | {LARGE: rng.standard_normal((301, 1000))}
            made[dtype] = [
                model(
                    module_folder / f"{dtype.name}-{seed}",
                    {name: array.astype(dtype) for name, array in tuned(base, seed).items()},
                )
                for seed in range(3)
            ]
        return made[dtype]

    return make


def tree_of(name, base, *models, **rest):
    method = merge_methods[name]
    models = models[: (method.models[1] or 2) - (method.base == "first")]
    needs_base = {"base": base} if method.base in {"first", "required"} else {}
    given = {key: 0.5 for key, param in method.params.items() if param.required}
    return recipe(name, *models, **needs_base, **given | rest)


def both(tree):
    return merged(tree, Options()), merged(tree, Options(device="cuda"))


def within_an_ulp(left, right, largest):
    """Of the type that is written, or of the largest number where terms cancel."""
    ulp = np.spacing(np.maximum(np.abs(left), np.abs(right))).astype(np.float64)
    slack = 2 * np.spacing(np.float32(largest)) if left.dtype != FLOAT64 else 1e-14 * largest
    apart = np.abs(left.astype(np.float64) - right.astype(np.float64))
    assert (apart <= ulp + slack).all()


@pytest.mark.parametrize("dtype", NAMES)
@pytest.mark.parametrize("name", METHODS)
def test_weights_agree_to_the_last_place(folders, name, dtype):
    cpu, gpu = both(tree_of(name, *folders(NAMES[dtype])))
    assert list(cpu) == list(gpu)
    for tensor, array in cpu.items():
        assert gpu[tensor].dtype == array.dtype
        within_an_ulp(array, gpu[tensor], 6.0)


THINNED = {
    "ties": {"density": 0.4},
    "breadcrumbs": {"density": 0.5, "gamma": 0.1},
    "dare_linear": {"density": 0.5, "rescale": False},
    "della_linear": {"density": 0.5, "rescale": False},
}


@pytest.mark.parametrize("row", [False, True])
@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
@pytest.mark.parametrize("name", THINNED)
def test_masks_are_equal_bit_for_bit(folders, name, dtype, row):
    if row and name != "breadcrumbs":
        pytest.skip("is not trimmed by rows")
    base, first, _ = folders(NAMES[dtype])
    given = THINNED[name] | ({"trim": "row"} if row else {})
    tree = recipe(name, first, base=base, weight=1, **given)
    kept_whole = merged(recipe("passthrough", base))
    for cpu, gpu, unchanged in zip(
        *(found.values() for found in both(tree)), kept_whole.values(), strict=True
    ):
        np.testing.assert_array_equal(cpu == unchanged, gpu == unchanged)


def test_global_trims_are_equal(folders):
    base, *models = folders(FLOAT32)
    cpu, gpu = both(recipe("ties", *models, base=base, weight=1, density=0.3, trim="global"))
    for tensor, array in cpu.items():
        within_an_ulp(array, gpu[tensor], 6.0)


def test_a_gpu_merge_can_be_repeated(folders):
    tree = tree_of("dare_ties", *folders(FLOAT32), density=0.5)
    first, second = (merged(tree, Options(device="cuda")) for _ in range(2))
    for tensor, array in first.items():
        np.testing.assert_array_equal(array, second[tensor])
    assert of_layer(0, UP) in first
