"""Promises of merges of many models: they are those of few, in no more memory."""

from __future__ import annotations

import numpy as np

from evomerge.dtypes import BFLOAT16
from tests.merging import test_memory
from tests.merging.tiny import llama, merged, model, recipe, tuned

MANY = 12


def test_the_uniform_soup_of_many_is_their_mean_rounded_once(tmp_path):
    base = llama(dtype=BFLOAT16)
    models = [tuned(base, seed) for seed in range(MANY)]
    folders = [model(tmp_path / str(number), each) for number, each in enumerate(models)]
    found = merged(recipe("linear", *folders, weight=1))
    for name in base:
        mean = np.mean([each[name].astype(np.float64) for each in models], axis=0)
        # half a unit in the last of eight binary places, and what float32 sums leave
        np.testing.assert_allclose(found[name].astype(np.float64), mean, rtol=2**-8, atol=1e-5)


def test_the_order_of_many_does_not_matter_beyond_rounding(tmp_path):
    base = llama()
    folders = [model(tmp_path / str(seed), tuned(base, seed)) for seed in range(MANY)]
    one = merged(recipe("linear", *folders, weight=1))
    other = merged(recipe("linear", *folders[::-1], weight=1))
    for name in base:
        np.testing.assert_allclose(one[name], other[name], rtol=1e-5, atol=1e-6)


def test_many_large_models_take_no_large_memory(tmp_path):
    """Sixteen models of 18 MB, after sixteen of 3 MB: a block of each is in memory, no more."""
    small, large = test_memory.peaks(
        tmp_path,
        "linear",
        test_memory.shapes(1000),
        test_memory.shapes(8000),
        weight=1,
        count=16,
    )
    assert large - small < 20
