"""The methods that look at changes element by element give mergekit's tensors: sce to ram."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evomerge.dtypes import BFLOAT16, FLOAT32
from tests.methods.in_memory import family, merged
from tests.methods.mergekit_in_memory import assert_parity, by_mergekit, difference

pytestmark = pytest.mark.parity

SHAPES = [(33, 65), (1, 7), (7, 1), (129,), (1,), (4, 5, 6)]
ZEROS = np.zeros(8, np.float32)

seeds = st.integers(0, 2**16)
shapes = st.lists(st.integers(1, 12), min_size=1, max_size=3).map(tuple)


@pytest.fixture(params=SHAPES, ids=str)
def shape(request: pytest.FixtureRequest) -> tuple[int, ...]:
    return request.param


# --- nearswap ---


@pytest.mark.parametrize("t", [-0.1, 0.0, 1e-7, 0.9e-6, 1.1e-6, 0.01, 0.05, 1.0])
def test_nearswap(shape, t):
    base, (model,) = family(1, shape, 1)
    assert_parity("nearswap", [model], base=base, t=t)


@pytest.mark.parametrize("t", [0.5e-6, 0.99e-6, 1e-6, 1.01e-6, 2e-6])
def test_nearswap_of_differences_about_a_millionth(t):
    model = np.float32([0.1, 0.5, 0.99, 1.0, 1.01, 1.5, 2.0, -0.7]) * np.float32(1e-6)
    assert_parity("nearswap", [model], base=ZEROS, t=t)


# --- ram ---


@pytest.mark.parametrize("epsilon", [-1.0, 0.0, 1e-5, 0.02, 0.1, 9.0])
@pytest.mark.parametrize("count", [1, 2, 3, 6])
def test_ram(shape, count, epsilon):
    base, models = family(2, shape, count)
    assert_parity("ram", models, base=base, epsilon=epsilon)


@pytest.mark.parametrize("epsilon", [1e-5, 0.02, 0.1])
@pytest.mark.parametrize("r", [0.0, 0.1, 3.0, -0.5])
@pytest.mark.parametrize("alpha", [-0.3, 0.0, 0.2, 0.7, 100.0])
def test_ramplus(shape, epsilon, r, alpha):
    base, models = family(2, shape, 3)
    assert_parity("ramplus_tl", models, base=base, epsilon=epsilon, r=r, alpha=alpha)


@pytest.mark.parametrize("method", ["ram", "ramplus_tl"])
def test_a_change_of_just_epsilon_counts_as_none(method):
    epsilon = float(np.float32(1e-5))
    above, below = np.nextafter(np.float32(epsilon), np.float32([1, 0]))
    model = np.float32([epsilon, above, below, -epsilon, -above, -below, 1, 0])
    merge = assert_parity(method, [model, 0 * model], base=ZEROS, epsilon=epsilon)
    assert (merge != 0).tolist() == [False, True, False, False, True, False, True, False]


def test_ramplus_of_models_that_are_the_base_is_the_base_where_mergekit_divides_by_zero():
    given = {"base": ZEROS, "epsilon": 0.0}
    assert np.isnan(by_mergekit("ramplus_tl", [ZEROS, ZEROS], **given)).all()
    np.testing.assert_array_equal(merged("ramplus_tl", [ZEROS, ZEROS], **given), ZEROS)


# --- sce ---


@pytest.mark.parametrize("topk", [-0.2, 0.0, 0.003, 0.29, 0.5, 0.57, 0.999, 1.0, 1.5])
@pytest.mark.parametrize("count", [1, 2, 3, 6])
def test_sce(shape, count, topk):
    base, models = family(3, shape, count)
    assert_parity("sce", models, base=base, select_topk=topk, int8_mask=True)


@given(seeds, shapes, st.floats(0, 1))
@settings(max_examples=60)
def test_sce_selects_as_many_and_they_differ_only_in_ties(seed, shape, topk):
    """With another model that is the base, what is merged is what is selected."""
    base, (model,) = (each[:1] for each in family(seed, (1, *shape), 1, BFLOAT16))
    base, model = base.astype(FLOAT32), np.asarray(model, FLOAT32)
    given = {"base": base, "select_topk": topk}
    ours, theirs = (merge("sce", [model, base], **given) for merge in (merged, by_mergekit))
    delta = np.abs(model - base)
    left, right = (np.abs(merge - base) > 0 for merge in (ours, theirs))
    assert left.sum() == right.sum()
    assert set(delta[left != right]) <= {delta[left].min(initial=np.inf)}


@pytest.mark.parametrize("size", [3, 100, 129])
@pytest.mark.parametrize("topk", [0.07, 0.28, 0.29, 0.57, 0.58, 0.7, 2 / 3])
def test_sce_counts_in_float32(size, topk):
    """100 times 0.29 is a hair less than 29 in float64, and just 29 in float32."""
    model = np.linspace(1, 2, size, dtype=np.float32)
    merge = assert_parity("sce", [model, 0 * model], base=0 * model, select_topk=topk)
    if (size, topk) == (100, 0.29):
        assert np.count_nonzero(merge) == 29


@pytest.mark.parametrize(("sum_of_squares", "equal"), [(0.98e-6, True), (1.02e-6, False)])
def test_sce_weighs_task_vectors_that_are_not_too_small(sum_of_squares, equal):
    """Of 3 : 1, weights are 9 : 1 where mean squares sum to a millionth."""
    scale = np.sqrt(sum_of_squares / 10)
    models = [np.full(8, f * scale, np.float32) for f in (3, 1)]
    merge = assert_parity("sce", models, base=ZEROS)
    np.testing.assert_allclose(merge, scale * (2 if equal else 2.8), rtol=1e-5)


@pytest.mark.parametrize("size", [1.0, 90.0, 110.0, 1000.0])
def test_sce_fades_out_models_whose_weight_is_below_a_millionth(size):
    """The second model stands alone in its element, whatever its weight, down to a millionth."""
    one, other = ZEROS.copy(), ZEROS.copy()
    one[0], other[1] = size, 0.1
    merge = assert_parity("sce", [one, other], base=ZEROS)
    weight = 0.01 / (size**2 + 0.01)
    assert merge[1] == pytest.approx(0.1 * min(1.0, weight / 1e-6), rel=1e-4)


def test_sce_of_votes_that_cancel():
    models = [np.float32([1, -1, 2, 0]), np.float32([-1, 1, -2, 0])]
    merge = assert_parity("sce", models, base=np.zeros(4, np.float32))
    np.testing.assert_array_equal(merge, [1, 1, 2, 0])


# --- arcee fusion ---


@pytest.mark.parametrize("change", [0.05, 0.3, 3.0])
def test_arcee_fusion(shape, change):
    base, (model,) = family(4, shape, 1, change=change)
    assert_parity("arcee_fusion", [model], base=base)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 8, 9])
def test_arcee_fusion_takes_quartiles_below(size):
    model = np.arange(1, size + 1, dtype=np.float32) ** 3 / 64
    assert_parity("arcee_fusion", [model], base=0 * model)


@pytest.mark.parametrize("unchanged", range(9, 16))
def test_arcee_fusion_of_few_changes(unchanged):
    base = np.ones(16, np.float32)
    model = base.copy()
    model[unchanged:] += np.arange(1, 17 - unchanged, dtype=np.float32)
    assert_parity("arcee_fusion", [model], base=base)


@pytest.mark.parametrize("far", [5.0, 18.0, 19.0, 40.0])
def test_arcee_fusion_takes_no_probability_for_smaller_than_a_hundred_millionth(far):
    """An unlikely element of a row says nothing more, however unlikely it becomes."""
    base = np.float32([[0, -far], [0, 1], [2, 1], [0, 0.5]])
    model = base + np.float32([[0, -far], [0.25, 0], [0.5, 0.125], [0, 1]])
    assert_parity("arcee_fusion", [model], base=base)


def test_arcee_fusion_of_large_tensors_is_mergekits_but_for_its_sample():
    """It estimates quartiles from a million draws; ours are those of the tensor."""
    base, (model,) = family(5, (1100, 1000), 1)
    ours, theirs = (merge("arcee_fusion", [model], base=base) for merge in (merged, by_mergekit))
    assert (ours != theirs).mean() < 0.002
    assert difference(ours, theirs) > 0
