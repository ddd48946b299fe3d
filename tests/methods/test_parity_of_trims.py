"""Thinned task vectors are mergekit's: as many are kept, and the same but for ties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evomerge.dtypes import BFLOAT16, FLOAT32
from evomerge.errors import MergeError
from tests.methods.in_memory import family, merged
from tests.methods.mergekit_in_memory import assert_parity, by_mergekit, difference

pytestmark = pytest.mark.parity

SHAPES = [(33, 65), (1, 7), (7, 1), (129,), (1,), (4, 5, 6)]
# Below, at, between and above the ends; with some, density times size is a hair off a whole number.
DENSITIES = [-0.2, 0.0, 1e-6, 0.01, 0.29, 0.3, 0.5, 0.57, 0.999, 1.0, 1.5]
BREADCRUMBS = ["breadcrumbs", "breadcrumbs_ties"]
TRIMS = ["ties", *BREADCRUMBS]
DARE = ["dare_linear", "dare_ties"]
DELLA = ["della_linear", "della"]

ONES = np.ones((4, 6), np.float32)
ZEROS = np.zeros((4, 6), np.float32)

shapes = st.lists(st.integers(1, 12), min_size=1, max_size=3).map(tuple)
# With so many elements, changes that cancel the base in all of them are not found.
wide = st.tuples(st.integers(1, 4), st.integers(24, 40))
seeds = st.integers(0, 2**16)
weights = st.floats(0.05, 1.5) | st.floats(-1.5, -0.05)
densities = st.floats(-0.1, 1.1)


@pytest.fixture(params=SHAPES, ids=str)
def shape(request: pytest.FixtureRequest) -> tuple[int, ...]:
    return request.param


def stepped(seed: int, shape: tuple[int, ...]) -> list[np.ndarray]:
    """A base and a model whose numbers are those of bfloat16: many changes are equally large."""
    base, models = family(seed, shape, 1, BFLOAT16)
    return [array.astype(FLOAT32) for array in (base, *models)]


def one_model(method: str, base: np.ndarray, model: np.ndarray, **given) -> list[np.ndarray]:
    """The task vector that is left of one model: ours, and mergekit's."""
    given = {"weight": [1.0], **given}
    return [merge(method, [model], base=base, **given) - base for merge in (merged, by_mergekit)]


# --- which elements survive ---


@pytest.mark.parametrize("density", DENSITIES)
@pytest.mark.parametrize("gamma", [None, 0.0, 0.01, 0.3, 0.5, 1.0])
def test_as_many_are_kept_and_they_differ_only_in_ties(shape, density, gamma):
    base, model = stepped(1, shape)
    method = "ties" if gamma is None else "breadcrumbs"
    given = {"density": [density], **({} if gamma is None else {"gamma": [gamma]})}
    ours, theirs = one_model(method, base, model, **given)
    assert_same_trim(ours, theirs, model - base)


def assert_same_trim(ours: np.ndarray, theirs: np.ndarray, delta: np.ndarray) -> None:
    """As many are kept, as they were; where the two differ, the size is that of a threshold."""
    assert np.count_nonzero(ours) == np.count_nonzero(theirs)
    assert np.isin(ours[ours != 0], delta).all()
    ends = {size for kept in (ours, theirs) for size in _ends(np.abs(kept))}
    assert set(np.abs(delta)[ours != theirs]) <= ends


def _ends(kept: np.ndarray) -> list[float]:
    """The smallest and the largest size that is kept: the thresholds."""
    sizes = kept[kept != 0]
    return [sizes.min(), sizes.max()] if sizes.size else []


@given(seeds, shapes, densities, st.none() | st.floats(0, 1))
@settings(max_examples=100)
def test_as_many_are_kept_of_any_tensor(seed, shape, density, gamma):
    base, model = stepped(seed, shape)
    method = "ties" if gamma is None else "breadcrumbs"
    given = {"density": [density], **({} if gamma is None else {"gamma": [gamma]})}
    assert_same_trim(*one_model(method, base, model, **given), model - base)


# --- weights, signs, sums ---


@pytest.mark.parametrize("method", TRIMS)
@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("rescale", [True, False])
@pytest.mark.parametrize(
    ("density", "gamma"),
    [
        ([0.5, 0.3, 0.9], [0.01, 0.1, 0.3]),
        ([1, 0.2, 0], [0, 0, 0.9]),
        ([1.5, -0.2, 0.01], [0.5, 0.5, 0.5]),
        ([1, 1, 1], [0.2, 0, 1]),
    ],
)
def test_trimmed_task_vectors_are_joined_alike(shape, method, normalize, rescale, density, gamma):
    base, models = family(1, shape, 3)
    given = {"normalize": normalize, "rescale": rescale, "density": density, "lambda_": 1.3}
    if method != "ties":
        given["gamma"] = gamma
    for weight in ([0.7, -0.3, 1.1], [1, 1, 1], [0, -0.5, 0.5]):
        assert_parity(method, models, base=base, weight=weight, **given)


@given(seeds, wide, st.lists(st.tuples(weights, densities), min_size=1, max_size=12), st.data())
@settings(max_examples=60)
def test_any_parameters(seed, shape, models, data):
    weight, density = zip(*models, strict=True)
    method = data.draw(st.sampled_from(TRIMS))
    given = {"weight": list(weight), "density": list(density)}
    given["normalize"] = data.draw(st.booleans())
    given["rescale"] = data.draw(st.booleans())
    given["lambda_"] = data.draw(st.floats(-2, 2))
    if method != "ties":
        given["gamma"] = [data.draw(st.floats(0, 1)) for _ in models]
    if given["normalize"]:  # weights that nearly cancel divide by their rounding errors
        given["weight"] = [abs(w) for w in weight]
    base, arrays = family(seed, shape, len(weight))
    close = method != "breadcrumbs" and _is_close(base, arrays, given)
    if not close and not any(_has_ties(array - base) for array in arrays):
        assert_parity(method, arrays, base=base, **given)


def _has_ties(delta: np.ndarray) -> bool:
    """Whether two changes are equally large."""
    sizes = np.abs(delta[delta != 0])
    return len(np.unique(sizes)) < len(sizes)


def _is_close(base: np.ndarray, models: list[np.ndarray], given: dict) -> bool:
    """Whether votes cancel so nearly that the order of a sum in float32 elects the sign."""
    votes = [w * (m - base) for w, m in zip(given["weight"], models, strict=True)]
    total = np.abs(sum(votes)) / np.maximum(sum(map(np.abs, votes)), 1e-30)
    return bool(((total < 1e-5) & (total > 0)).any())


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("method", ["ties", "breadcrumbs_ties"])
def test_a_vote_of_exactly_zero_counts_as_positive(method, normalize):
    """+1 and -1 stand against each other: +1 wins, at half weight or whole."""
    merge = assert_parity(method, [ONES, -ONES], base=ZEROS, weight=[0.5, 0.5], normalize=normalize)
    assert (merge == (1.0 if normalize else 0.5)).all()


def test_agreeing_weights_that_sum_to_zero_do_not_divide():
    """Votes 1 * 2 and -1 * -1 agree, and their weights cancel."""
    merge = assert_parity("ties", [2 * ONES, -ONES], base=ZEROS, weight=[1, -1], normalize=True)
    assert (merge == 3).all()


@pytest.mark.parametrize("method", ["ties", "breadcrumbs_ties"])
def test_a_weight_of_zero_neither_votes_nor_divides(method):
    base, models = family(1, (9, 9), 3)
    assert_parity(method, models, base=base, weight=[0, 1, 0], normalize=True)
    assert_parity(method, models, base=base, weight=[0, 0, 0], normalize=True)


@pytest.mark.parametrize(
    ("weight", "divides"), [([1, -1], False), ([4e-9, 5e-9], False), ([6e-9, 5e-9], True)]
)
def test_breadcrumbs_divide_by_weights_that_sum_to_a_hundred_millionth(weight, divides):
    base, models = family(1, (9, 9), 2)
    plain = by_mergekit("breadcrumbs", models, base=base, weight=weight)
    merge = assert_parity("breadcrumbs", models, base=base, weight=weight, normalize=True)
    assert (difference(merge, plain) > 1e-3) == divides


@pytest.mark.parametrize("method", TRIMS)
@pytest.mark.parametrize(
    ("before", "rescaled"), [(0.9e-7, False), (1.1e-7, False), (4e-7, True), (1e-3, True)]
)
def test_no_length_below_a_ten_millionth_is_restored(method, before, rescaled):
    """Half the elements hold two thirds of the length: 1.1e-7 falls below the limit by trimming."""
    sizes = np.repeat(np.float32([2, 1]), 12).reshape(4, 6) * np.float32(before / 36)
    given = {"weight": [1.0], "density": [0.5], "rescale": True}
    merge = assert_parity(method, [sizes], base=ZEROS, **given)
    assert np.abs(merge).sum() == pytest.approx(before * (1 if rescaled else 2 / 3), rel=1e-5)


@pytest.mark.parametrize("mask", [True, False])
@pytest.mark.parametrize("method", TRIMS)
def test_the_mask_type_has_no_effect(method, mask):
    base, models = family(1, (9, 9), 2)
    given = {"weight": [0.5, 0.7], "density": [0.4, 0.6], "int8_mask": mask}
    assert_parity(method, models, base=base, **given)


def test_task_arithmetic_takes_a_density_without_an_effect():
    base, models = family(1, (9, 9), 2)
    given = {"weight": [0.5, 0.7], "density": [0.4, 0.6], "rescale": True, "int8_mask": True}
    merge = assert_parity("task_arithmetic", models, base=base, **given)
    plain = by_mergekit("task_arithmetic", models, base=base, weight=[0.5, 0.7])
    assert difference(merge, plain) == 0


# --- by chance, where chance has no say ---


@pytest.mark.parametrize("method", [*DARE, *DELLA])
@pytest.mark.parametrize("normalize", [True, False])
def test_chance_keeps_everything_at_a_density_of_one_and_above(shape, method, normalize):
    base, models = family(1, shape, 3)
    given = {"weight": [0.7, -0.3, 1.1], "normalize": normalize, "lambda_": 0.8}
    assert_parity(method, models, base=base, density=[1, 1.5, 1], **given)
    assert_parity(method, models, base=base, **given)


@pytest.mark.parametrize("method", [*DARE, *DELLA])
def test_chance_keeps_nothing_at_a_density_of_zero(shape, method):
    base, models = family(1, shape, 2)
    merge = assert_parity(method, models, base=base, weight=[1, 1], density=[0, 0])
    assert difference(merge, base) == 0


@pytest.mark.parametrize("method", DELLA)
def test_della_keeps_nothing_below_zero(shape, method):
    base, models = family(1, shape, 2)
    assert_parity(method, models, base=base, weight=[1, 1], density=[-0.2, 1])


@pytest.mark.parametrize("method", DELLA)
@pytest.mark.parametrize(
    ("density", "epsilon", "fits"),
    [
        (0.5, 0.49, True),
        (0.5, 0.5, False),
        (0.15, 0.15, False),
        (0.16, 0.15, True),
        (0.85, 0.15, False),
        (0.84, 0.15, True),
        (0.05, 0.15, False),
        (0.95, 0.15, False),
        (0.5, 0.0, True),
    ],
)
def test_epsilon_must_fit_the_density(method, density, epsilon, fits):
    base, models = family(1, (9, 9), 1)
    given = {"base": base, "weight": [1.0], "density": [density], "epsilon": [epsilon]}
    if fits:
        merged(method, models, **given)
        by_mergekit(method, models, **given)
        return
    with pytest.raises(MergeError, match="does not fit"):
        merged(method, models, **given)
    with pytest.raises(ValueError, match="Epsilon"):
        by_mergekit(method, models, **given)


@pytest.mark.parametrize("method", DELLA)
@pytest.mark.parametrize("epsilon", [-0.6, -2.0])
def test_a_negative_epsilon_must_fit_too(method, epsilon):
    base, models = family(1, (9, 9), 1)
    given = {"base": base, "weight": [1.0], "density": [0.5], "epsilon": [epsilon]}
    with pytest.raises(MergeError, match="does not fit"):
        merged(method, models, **given)
    with pytest.raises(RuntimeError):
        by_mergekit(method, models, **given)


@pytest.mark.parametrize("method", DARE)
def test_dare_keeps_nothing_below_zero_where_mergekit_breaks_off(method):
    base, models = family(1, (9, 9), 1)
    given = {"base": base, "weight": [1.0], "density": [-0.2]}
    assert difference(merged(method, models, **given), base) == 0
    with pytest.raises(RuntimeError):
        by_mergekit(method, models, **given)
