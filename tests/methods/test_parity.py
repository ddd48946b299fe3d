"""Every deterministic method gives mergekit's tensors, on both sides of each of its thresholds."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evomerge.errors import MergeError
from tests.methods.in_memory import family, merged
from tests.methods.mergekit_in_memory import TOLERANCE, assert_parity, by_mergekit, difference

pytestmark = pytest.mark.parity

SHAPES = [(33, 65), (1, 7), (7, 1), (129,), (1,), (4, 5, 6)]
PLACES = [0.0, 0.25, 0.5, 1.0, 1.3, -0.2]

shapes = st.lists(st.integers(1, 9), min_size=1, max_size=3).map(tuple)
# With so many elements, models that cancel in all of them are not found.
wide = st.tuples(st.integers(1, 4), st.integers(24, 40))
seeds = st.integers(0, 2**16)
weights = st.floats(0.05, 1.5) | st.floats(-1.5, -0.05)


@pytest.fixture(params=SHAPES, ids=str)
def shape(request: pytest.FixtureRequest) -> tuple[int, ...]:
    return request.param


def at_cosine(cosine: float, size: int = 512, *, norms=(1.0, 1.0)) -> list[np.ndarray]:
    """Two vectors at an angle; their products in float32 are right to seven digits or so."""
    rng = np.random.default_rng(7)
    first, other = (v / np.linalg.norm(v) for v in rng.standard_normal((2, size)))
    across = other - (other @ first) * first
    across /= np.linalg.norm(across)
    second = cosine * first + sqrt(1.0 - cosine**2) * across
    return [(norm * v).astype(np.float32) for norm, v in zip(norms, (first, second), strict=True)]


# Exact in float32, and so are their norms, their products and their cosines.
ONES, TWOS = np.ones((4, 4), np.float32), np.full((4, 4), 2.0, np.float32)
ZEROS = np.zeros((4, 4), np.float32)


# --- linear, passthrough, task arithmetic ---


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize(
    "weight", [[0.7, -0.3, 1.1], [1, 1, 1], [0, 0, 2], [1, -0.9, 0], [1e-6, 0, 0], [3, -9, 5]]
)
def test_linear(shape, weight, normalize):
    _, models = family(1, shape, 3)
    assert_parity("linear", models, weight=weight, normalize=normalize)


def test_linear_refuses_a_sum_of_zero_that_gives_mergekit_infinities():
    _, models = family(1, (3, 4), 2)
    assert not np.isfinite(by_mergekit("linear", models, weight=[1, -1])).any()
    with pytest.raises(MergeError, match="sum to zero"):
        merged("linear", models, weight=[1.0, -1.0])


@pytest.mark.parametrize("scale", [None, 0.5, 1.0, 0.0, -2.0])
def test_passthrough(shape, scale):
    _, models = family(1, shape, 1)
    given = {} if scale is None else {"scale": [scale]}
    assert_parity("passthrough", models, **given)


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("weight", [[0.7, -0.3], [1, 1], [-0.4, -0.6], [0, 2.5]])
def test_task_arithmetic(shape, weight, normalize):
    base, models = family(1, shape, 2)
    given = {"weight": weight, "normalize": normalize, "lambda_": 0.7}
    assert_parity("task_arithmetic", models, base=base, **given)


@pytest.mark.parametrize(
    ("weight", "divides"),
    [([1, -1], False), ([4e-9, 5e-9], False), ([6e-9, 5e-9], True), ([-6e-9, -5e-9], True)],
)
def test_task_arithmetic_divides_by_weights_that_sum_to_a_hundred_millionth(weight, divides):
    base, models = family(1, (9, 5), 2)
    merge = assert_parity("task_arithmetic", models, base=base, weight=weight, normalize=True)
    plain = by_mergekit("task_arithmetic", models, base=base, weight=weight)
    assert (difference(plain, merge) > 1e-3) == divides


@given(seeds, wide, st.lists(weights, min_size=1, max_size=12), st.booleans())
@settings(max_examples=40)
def test_any_weights(seed, shape, weight, normalize):
    base, models = family(seed, shape, len(weight))
    if abs(sum(weight)) < 0.5:  # models that nearly cancel leave little but rounding errors
        weight[0] += 1.0
    assert_parity("linear", models, weight=weight, normalize=normalize)
    task = {"base": base, "weight": weight, "normalize": normalize, "lambda_": 1.3}
    assert_parity("task_arithmetic", models, **task)


# --- slerp ---


@pytest.mark.parametrize("t", PLACES)
def test_slerp(shape, t):
    base, (near,) = family(1, shape, 1)
    _, (far,) = family(2, shape, 1, change=3.0)
    for other in (near, far):
        assert_parity("slerp", [other], base=base, t=t)


@pytest.mark.parametrize("t", PLACES)
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("cosine", "straight"), [(0.99945, False), (0.9995 - 1e-5, False), (0.9995 + 1e-5, True)]
)
def test_slerp_leaves_the_arc_at_a_cosine_of_9995(t, sign, cosine, straight):
    base, other = at_cosine(sign * cosine, norms=(1.0, 3.0))
    theirs = by_mergekit("slerp", [other], base=base, t=t)
    ours = merged("slerp", [other], base=base, t=t)
    expected = slerp(base, other, t, straight=straight)
    assert difference(ours, expected) <= TOLERANCE
    # On the far side of the sphere, mergekit's angle in float32 is good for four digits.
    assert difference(ours, theirs) <= (TOLERANCE if sign > 0 or straight else 1e-3)
    if t not in {0.0, 1.0}:
        assert difference(theirs, slerp(base, other, t, straight=not straight)) > 3e-5


def slerp(base: np.ndarray, other: np.ndarray, t: float, *, straight: bool) -> np.ndarray:
    """On the arc or on the line, in float64."""
    first, second = base.astype(np.float64), other.astype(np.float64)
    if straight:
        return (1 - t) * first + t * second
    angle = np.arccos(first @ second / np.linalg.norm(first) / np.linalg.norm(second))
    return (np.sin((1 - t) * angle) * first + np.sin(t * angle) * second) / np.sin(angle)


@pytest.mark.parametrize("t", PLACES)
@pytest.mark.parametrize("other", [ONES, -ONES, TWOS, ZEROS], ids=["same", "opposite", "2x", "0"])
def test_slerp_of_parallel_and_empty_tensors(t, other):
    assert_parity("slerp", [other], base=ONES, t=t)
    assert_parity("slerp", [ONES], base=other, t=t)


@pytest.mark.parametrize(
    ("norm", "is_vector"), [(0.5e-8, False), (0.9e-8, False), (1.1e-8, True), (1e-7, True)]
)
def test_slerp_does_not_see_the_direction_of_tensors_shorter_than_a_hundred_millionth(
    norm, is_vector
):
    base, other = at_cosine(0.6, norms=(1.0, norm))
    merge = assert_parity("slerp", [other], base=base, t=0.3)
    # Seen, they stand at 53 degrees; unseen, their product is next to zero: at 90 degrees.
    angle = np.arccos(0.6) if is_vector else np.pi / 2
    assert merge @ base == pytest.approx(np.sin(0.7 * angle) / np.sin(angle), rel=1e-4)


@given(seeds, shapes, st.floats(-0.5, 1.5), st.sampled_from([0.01, 0.05, 0.2, 1.0, 5.0]))
@settings(max_examples=60)
def test_slerp_at_any_place_of_any_arc(seed, shape, t, change):
    base, (other,) = family(seed, shape, 1, change=change)
    if _is_steep(base, other):
        return
    assert_parity("slerp", [other], base=base, t=t)


def _is_steep(first: np.ndarray, second: np.ndarray) -> bool:
    """Nearly opposite, or at the very threshold: there a rounding error decides."""
    norms = np.linalg.norm(first) * np.linalg.norm(second)
    cosine = float(np.vdot(first, second) / norms)
    return cosine < -0.99 or abs(cosine - 0.9995) < 1e-6


# --- nuslerp ---

KINDS = [
    pytest.param({}, id="flat"),
    pytest.param({"nuslerp_flatten": False}, id="rows"),
    pytest.param({"nuslerp_flatten": False, "nuslerp_row_wise": True}, id="columns"),
    pytest.param({"nuslerp_row_wise": True}, id="flat after all"),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("weight", [[0.3, 0.7], [1, 0], [0, 1], [1.5, -0.2], [4, 4]])
def test_nuslerp(shape, kind, weight):
    base, models = family(1, shape, 2)
    far, (other,) = family(2, shape, 1, change=3.0)
    # Vectors of one element are parallel or opposite: nothing but rounding decides their arc.
    lone = 1 in shape and kind and len(shape) > 1
    if not lone:
        assert_parity("nuslerp", models, weight=weight, **kind)
        assert_parity("nuslerp", [far, other], weight=weight, **kind)
        assert_parity("nuslerp", models, base=base, weight=weight, **kind)


@pytest.mark.parametrize(
    ("weight", "halfway"),
    [([1, -1], True), ([1e-7, 8e-7], True), ([3e-7, 8e-7], False), ([-3e-7, -8e-7], False)],
)
def test_nuslerp_takes_weights_that_sum_to_a_millionth_seriously(weight, halfway):
    _, models = family(1, (9, 17), 2, change=1.0)
    merge = assert_parity("nuslerp", models, weight=weight)
    assert (difference(by_mergekit("nuslerp", models, weight=[1, 1]), merge) < 1e-6) == halfway


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("other", [ONES, -ONES, TWOS, ZEROS], ids=["same", "opposite", "2x", "0"])
def test_nuslerp_of_parallel_and_empty_tensors(kind, other):
    for weight in ([1, 3], [1, 1], [0, 1]):
        assert_parity("nuslerp", [ONES, other], weight=weight, **kind)
        assert_parity("nuslerp", [other, ONES], weight=weight, **kind)
        task = [ONES + 8, other + 8]
        assert_parity("nuslerp", task, base=np.full_like(ONES, 8), weight=weight, **kind)


@pytest.mark.parametrize("cosine", [0.99999, 0.9995, 0.5, 0.0, -0.5, -0.99])
def test_nuslerp_stays_on_the_arc_of_nearly_parallel_tensors(cosine):
    assert_parity("nuslerp", at_cosine(cosine, norms=(1.0, 3.0)), weight=[0.4, 0.6])


@pytest.mark.parametrize("norm", [1e-9, 5e-8, 0.95e-7, 1.05e-7, 1e-6])
def test_nuslerp_takes_no_tensor_for_shorter_than_a_ten_millionth(norm):
    models = at_cosine(0.6, norms=(1.0, norm))
    merge = assert_parity("nuslerp", models, weight=[0.4, 0.6])
    angle = np.arccos(0.6 * min(1.0, norm / 1e-7))
    assert merge @ models[0] == pytest.approx(np.sin(0.4 * angle) / np.sin(angle), rel=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_nuslerp_of_models_that_left_some_rows_of_the_base_alone(kind):
    base, models = family(1, (12, 10), 2)
    models[0][3] = models[1][3] = base[3]
    models[0][5] = base[5]
    models[1][:, 2] = base[:, 2]
    assert_parity("nuslerp", models, base=base, weight=[0.4, 0.5], **kind)


# --- multislerp ---


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("weight", [[0.2, 0.5, 0.9], [0.2, -0.5, 0.9], [1, 1, 1], [0, 0, 0.5]])
def test_multislerp(shape, weight, normalize):
    base, models = family(1, shape, 3)
    _, others = family(2, shape, 3, change=3.0)
    given = {"weight": weight, "normalize_weights": normalize}
    assert_parity("multislerp", models, base=base, **given)
    if shape != (1,):  # unit vectors of one element may cancel
        assert_parity("multislerp", models, **given)
        assert_parity("multislerp", others, **given)


@pytest.mark.parametrize("normalize", [True, False])
def test_multislerp_leaves_one_model_alone(shape, normalize):
    base, models = family(1, shape, 1)
    given = {"weight": [0.2], "normalize_weights": normalize}
    assert difference(assert_parity("multislerp", models, **given), models[0]) == 0
    assert difference(assert_parity("multislerp", models, base=base, **given), models[0]) < 1e-6


def test_multislerp_of_parallel_and_empty_tensors():
    for models in ([ONES, TWOS], [ONES, ONES], [ONES, ZEROS], [ZEROS, ZEROS]):
        assert_parity("multislerp", models, weight=[0.3, 0.5])
        assert_parity("multislerp", models, base=ZEROS, weight=[0.3, 0.5])


def test_multislerp_of_directions_that_cancel():
    assert_parity("multislerp", [ONES, -ONES], weight=[0.5, 0.5])
    assert_parity("multislerp", [ONES, -TWOS], weight=[0.5, 0.5])


@pytest.mark.parametrize("eps", [1e-8, 0.5, 2.0])
@pytest.mark.parametrize("norm", [0.25, 1.0, 4.0])
@pytest.mark.parametrize("normalize", [True, False])
def test_multislerp_adds_eps_to_lengths_and_steps_aside_for_shorter_means(eps, norm, normalize):
    models = at_cosine(0.6, norms=(1.0, norm))
    given = {"weight": [0.4, 0.7], "eps": eps, "normalize_weights": normalize}
    merge = assert_parity("multislerp", models, **given)
    mean = by_mergekit("linear", models, weight=[0.4, 0.7], normalize=normalize)
    # Unit vectors at this angle have a mean of 0.9 at most, less what eps takes from them.
    if eps in {1e-8, 2.0} and norm != 1.0:
        assert (difference(merge, mean) < 1e-6) == (eps == 2.0)


@pytest.mark.parametrize("norm", [1e-9, 1e-8, 1e-7])
def test_multislerp_of_short_tensors(norm):
    assert_parity("multislerp", at_cosine(0.6, norms=(norm, norm)), weight=[0.4, 0.7])
    assert_parity("multislerp", at_cosine(0.6, norms=(1.0, norm)), weight=[0.4, 0.7])


def test_multislerp_refuses_a_sum_of_zero_that_gives_mergekit_no_numbers():
    _, models = family(1, (3, 4), 2)
    assert np.isnan(by_mergekit("multislerp", models, weight=[1, -1])).all()
    with pytest.raises(MergeError, match="sum to zero"):
        merged("multislerp", models, weight=[1.0, -1.0])


# --- karcher ---


@pytest.mark.parametrize("max_iter", [0, 1, 10, 50])
@pytest.mark.parametrize("change", [0.05, 1.0, 5.0])
def test_karcher(shape, max_iter, change):
    _, models = family(2, shape, 3, change=change)
    if shape == (1,):  # unit vectors of one element may cancel
        models = [np.abs(model) for model in models]
    assert_parity("karcher", models, max_iter=max_iter)


@pytest.mark.parametrize("tol", [1e-9, 1e-3, 0.05, 0.3, 2.0])
@pytest.mark.parametrize("max_iter", [1, 10])
def test_karcher_stops_at_the_tolerance(tol, max_iter):
    base, models = family(2, (20, 30), 2, change=1.0)
    assert_parity("karcher", [base, *models], tol=tol, max_iter=max_iter)


@pytest.mark.parametrize(
    "models",
    [
        [ONES],
        [ONES, ONES],
        [ONES, TWOS],
        [ONES, -ONES],
        [ONES, ZEROS],
        [ZEROS],
        [ONES, -TWOS, TWOS],
    ],
)
def test_karcher_of_parallel_and_empty_tensors(models):
    assert_parity("karcher", models)


@pytest.mark.parametrize("norm", [0.5e-5, 0.9e-5, 1.1e-5, 2e-5])
def test_karcher_drops_tensors_shorter_than_the_tolerance(norm):
    first, second = at_cosine(0.6, norms=(1.0, norm))
    merge = assert_parity("karcher", [first, second])
    along = merge @ first / np.linalg.norm(merge)
    assert along == pytest.approx(1.0 if norm < 1e-5 else sqrt(0.8), rel=1e-4)


# --- model stock ---


@pytest.mark.parametrize("by_row", [True, False])
@pytest.mark.parametrize("count", [2, 3, 5])
@pytest.mark.parametrize("change", [0.05, 2.0])
def test_model_stock(shape, by_row, count, change):
    base, models = family(3, shape, count, change=change)
    if shape[-1] == 1 and (by_row or len(shape) == 1):
        # One element: cosines of 1 and -1, whose mean may be the pole of the formula.
        models = [base + np.abs(model - base) for model in models]
    assert_parity("model_stock", models, base=base, filter_wise=by_row)


@pytest.mark.parametrize("by_row", [True, False])
def test_model_stock_of_models_that_left_something_alone(by_row):
    base, models = family(3, (12, 10), 3)
    models[0][4] = models[1][4] = models[2][4] = base[4]
    models[2] = base.copy()
    assert_parity("model_stock", models, base=base, filter_wise=by_row)
    assert_parity("model_stock", [base, base], base=base, filter_wise=by_row)


@pytest.mark.parametrize("by_row", [True, False])
def test_model_stock_keeps_the_base_where_its_formula_has_no_denominator(by_row):
    models = [ONES + 3, 3 - ONES]
    merge = assert_parity("model_stock", models, base=3 * ONES, filter_wise=by_row)
    assert (merge == 3).all()


@pytest.mark.parametrize("cosine", [-0.9, -0.6])
def test_model_stock_beyond_the_base(cosine):
    """The denominator is small but there is one; the way to the mean is negative."""
    offsets = at_cosine(cosine)
    merge = assert_parity("model_stock", offsets, base=np.zeros_like(offsets[0]))
    assert merge @ (offsets[0] + offsets[1]) < 0


@pytest.mark.parametrize("length", [1e-4, 0.9e-3, 1.1e-3, 1e-2])
def test_model_stock_measures_no_product_of_lengths_below_a_millionth(length):
    offsets = at_cosine(0.6, norms=(length, length))
    merge = assert_parity("model_stock", offsets, base=np.zeros_like(offsets[0]))
    cosine = 0.6 * min(1.0, length**2 / 1e-6)
    share = 2 * cosine / (1 + cosine)
    expected = share * (offsets[0].astype(np.float64) + offsets[1]) / 2
    assert difference(merge, expected) < 1e-4
