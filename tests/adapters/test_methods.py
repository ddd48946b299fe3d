"""What every way to merge adapters promises: that it sees updates, not factors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evomerge.adapters.base import adapter_methods
from evomerge.adapters.updates import Update
from evomerge.errors import MergeError
from tests.adapters.updates import INVARIANT, dense, merged, near, regauged, related, task

SEEDS = st.integers(0, 2**32 - 1)


@pytest.fixture(params=INVARIANT)
def way(request):
    """A method and its settings."""
    return INVARIANT[request.param]


@pytest.fixture
def rng():
    return np.random.default_rng(11)


def test_every_method_is_tested():
    assert {method for method, _ in INVARIANT.values()} | {"naive"} == set(adapter_methods)


@settings(max_examples=8, deadline=None)
@given(seed=SEEDS)
@pytest.mark.parametrize("name", INVARIANT)
def test_the_gauge_does_not_matter(name, seed):
    method, values = INVARIANT[name]
    rng = np.random.default_rng(seed)
    updates = related(rng)
    turned = [regauged(update, rng) for update in updates]
    before, after = (dense(merged(method, each, **values).update) for each in (updates, turned))
    assert near(after, before) <= 1e-6


@settings(max_examples=8, deadline=None)
@given(seed=SEEDS)
def test_to_the_average_of_factors_the_gauge_is_all(seed):
    rng = np.random.default_rng(seed)
    updates = related(rng)
    turned = [regauged(update, rng) for update in updates]
    before, after = (dense(merged("naive", each).update) for each in (updates, turned))
    assert near(after, before) > 0.1


def test_copies_in_four_gauges_average_to_what_they_are(way, rng):
    method, values = way
    (update,) = related(rng, 1)
    copies = [regauged(update, rng) for _ in range(4)]
    if values.get("consensus") in {"ties", "dare"}:
        values = {**values, "density": 1.0}  # else elements are dropped on purpose
    assert near(dense(merged(method, copies, **values).update), dense(update)) <= 1e-6


def test_the_order_does_not_matter(way, rng):
    method, values = way
    updates, weights, labels = related(rng), [0.2, 0.5, 0.9], ["a", "b", "c"]
    order = [2, 0, 1]
    one = merged(method, updates, weights, labels, **values)
    other = merged(
        method,
        *([each[i] for i in order] for each in (updates, weights, labels)),
        **values,
    )
    assert near(dense(other.update), dense(one.update)) <= 1e-6


def test_a_smaller_rank_is_as_good_as_zeros_beside_it(way, rng):
    method, values = way
    updates = related(rng)
    updates[0] = Update(updates[0].left[:, :2], updates[0].right[:, :2])
    padded = [
        Update(
            np.pad(u.left, ((0, 0), (0, 4 - u.rank))), np.pad(u.right, ((0, 0), (0, 4 - u.rank)))
        )
        for u in updates
    ]
    one, other = (dense(merged(method, each, **values).update) for each in (updates, padded))
    assert near(other, one) <= 1e-6


def test_one_adapter_is_left_alone(way, rng):
    method, values = way
    (update,) = related(rng, 1)
    values = {**values, "density": 1.0} if "density" in values else values
    assert near(dense(merged(method, [update], **values).update), dense(update)) <= 1e-9


def test_an_adapter_of_weight_0_has_no_part(way, rng):
    method, values = way
    first, second, third = related(rng)
    with_it = merged(method, [first, second, third], [1, 0, 1], ["a", "b", "c"], **values)
    without = merged(method, [first, third], [1, 1], ["a", "c"], **values)
    assert near(dense(with_it.update), dense(without.update)) <= 1e-9


def test_nothing_is_merged_to_nothing(way):
    method, values = way
    nothing = Update.zero((5, 4))
    assert not dense(merged(method, [nothing, nothing], **values).update).any()


@pytest.mark.parametrize("values", [{"manifold": "chordal"}, {"manifold": "balanced"}])
def test_what_an_adapter_lacks_counts_as_zero(values, rng):
    (update,) = related(rng, 1)
    half = merged("frechet", [update, Update.zero(update.shape)], **values).update
    factor = {"chordal": 0.5, "balanced": 0.25}[values["manifold"]]
    assert near(dense(half), factor * dense(update)) <= 1e-9


def test_to_the_invariant_metric_zero_is_infinitely_far(rng):
    (update,) = related(rng, 1)
    left = merged("frechet", [update, Update.zero(update.shape)], manifold="invariant").update
    assert near(dense(left), dense(update)) <= 1e-9


@pytest.mark.parametrize("manifold", ["balanced", "invariant"])
def test_orthogonal_tasks_have_no_one_mean(manifold):
    eye = np.eye(8)
    apart = [Update(eye[:, :2], eye[:, :2]), Update(eye[:, 4:6], eye[:, 4:6])]
    with pytest.raises(MergeError, match=r"matrix: the mean is not unique.*method linear"):
        merged("frechet", apart, manifold=manifold)


def test_an_adapter_and_its_opposite_have_no_one_balanced_mean(rng):
    (update,) = related(rng, 1)
    with pytest.raises(MergeError, match="the mean is not unique"):
        merged("frechet", [update, update.scaled(-1.0)])


def test_orthogonal_tasks_have_no_one_chordal_mean_of_their_rank_but_one_of_more():
    eye = np.eye(8)
    apart = [Update(eye[:, :2], eye[:, :2]), Update(eye[:, 4:6], eye[:, 4:6])]
    with pytest.raises(MergeError, match=r"mean of rank 2 is not unique: .* 2 and 3 are equal"):
        merged("frechet", apart, manifold="chordal")
    both = merged("frechet", apart, manifold="chordal", rank="sum").update
    assert near(dense(both), (dense(apart[0]) + dense(apart[1])) / 2) <= 1e-12


@pytest.mark.parametrize(("rank", "kept"), [("r", 4), ("2r", 8), ("sum", 12), (3, 3)])
@pytest.mark.parametrize(
    ("method", "values"), [("svd", {}), ("frechet", {"manifold": "chordal"}), ("knots", {})]
)
def test_the_rank_is_the_one_asked_for(method, values, rank, kept, rng):
    update = merged(method, related(rng), rank=rank, **values).update
    assert np.linalg.matrix_rank(dense(update), tol=1e-9) == kept


@pytest.mark.parametrize("rank", [0, 25])
def test_a_rank_that_no_matrix_of_the_shape_has_is_refused(rank, rng):
    with pytest.raises(MergeError, match=rf"matrix: rank {rank} of a matrix of shape \(30, 24\)"):
        merged("svd", related(rng), rank=rank)


def test_points_cannot_be_pushed_away(rng):
    with pytest.raises(MergeError, match=r"the shares 2, -1; expected none below 0"):
        merged("frechet", related(rng, 2), [2.0, -1.0])
    assert merged("linear", related(rng, 2), [2.0, -1.0])


def test_weights_that_sum_to_zero_are_refused(rng):
    with pytest.raises(MergeError, match="matrix: the weights 1, -1 sum to zero"):
        task("linear", related(rng, 2), [1.0, -1.0])


def test_no_matrix_of_the_full_size_is_formed(way):
    """A million rows and columns: the matrix itself would have 8 TB."""
    method, values = way
    rng = np.random.default_rng(0)
    updates = related(rng, 2, (200_000, 100_000), 2)
    assert merged(method, updates, **values).update.shape == (200_000, 100_000)
