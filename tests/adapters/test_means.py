"""The means themselves: by hand, against general minimisers, and the special cases of the idea."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import approx_fprime, minimize

from evomerge.adapters.base import adapter_methods
from evomerge.adapters.frechet_mean import Frozen, Sphere, frechet_mean
from evomerge.adapters.gauges import Gauge, Nearest
from evomerge.adapters.updates import Stack, Update
from evomerge.errors import RecipeError
from tests.adapters.updates import dense, merged, near, related


def toy(a: float, b: float) -> Update:
    """f(x) = a · b · x: two numbers of which the product counts."""
    return Update(np.array([[a]]), np.array([[b]]))


@pytest.mark.parametrize(
    ("method", "values", "expected"),
    [
        ("naive", {}, (0.75 * 4 + 0.25 * 3) * (0.75 * 1 + 0.25 * 12)),
        ("linear", {}, 0.75 * 4 + 0.25 * 36),
        ("svd", {}, 12),
        ("frechet", {"manifold": "chordal"}, 12),
        # Balanced factors are (√p, √p), and the mean averages them.
        ("frechet", {"manifold": "balanced"}, (0.75 * 2 + 0.25 * 6) ** 2),
        # Σ wᵢ (√(pᵢ/p) − 1) = 0: the same, where gauges of numbers are scales.
        ("frechet", {"manifold": "invariant"}, (0.75 * 2 + 0.25 * 6) ** 2),
        ("knots", {"consensus": "linear"}, 12),
        # Both have the sign of the sum.
        ("knots", {"consensus": "ties"}, 12),
    ],
)
def test_of_one_number_each(method, values, expected):
    pair = [toy(4, 1), toy(3, 12)]  # 4 and 36
    update = merged(method, pair, [3.0, 1.0], **values).update
    assert dense(update)[0, 0] == pytest.approx(expected, rel=1e-9)


def test_ties_in_the_joint_basis_elects_signs():
    """By hand: ΔW = (3, −1) and (−1, 5) of one row; the basis is a number."""
    one, other = (
        Update(np.ones((1, 1)), np.array([[3.0], [-1]])),
        Update(np.ones((1, 1)), np.array([[-1.0], [5]])),
    )
    update = merged("knots", [one, other], consensus="ties").update
    assert dense(update) == pytest.approx(np.array([[3.0, 5.0]]))
    kept = merged("knots", [one, other], consensus="ties", density=0.5).update
    assert dense(kept) == pytest.approx(np.array([[3.0, 5.0]]))
    average = merged("knots", [one, other], consensus="linear").update
    assert dense(average) == pytest.approx(np.array([[1.0, 2.0]]))


def test_dare_drops_at_random_and_makes_up_for_it():
    rng = np.random.default_rng(1)
    (update,) = related(rng, 1, (3, 40_000), 2)
    kept, again = (
        merged("knots", [update], consensus="dare", density=0.25, rank="sum").update.right
        for _ in range(2)
    )
    whole = merged("knots", [update], consensus="linear", rank="sum").update.right
    survive = kept != 0
    assert survive.mean() == pytest.approx(0.25, abs=0.01)
    assert kept[survive] == pytest.approx(4 * whole[survive])
    assert np.array_equal(again, kept)


def test_the_balanced_mean_is_a_minimum_of_bures_wasserstein_distances():
    """An independent minimiser, from a random start, comes no lower than it."""
    rng = np.random.default_rng(5)
    updates, weights = related(rng, 3, (7, 6), 2), np.array([0.2, 0.3, 0.5])
    points = [np.concatenate([u.left, u.right]) for u in (x.balanced() for x in updates)]

    def cost(flat: np.ndarray) -> float:
        z = flat.reshape(points[0].shape)
        shared = [np.linalg.svd(p.T @ z, compute_uv=False).sum() for p in points]
        distances = [
            (p**2).sum() + (z**2).sum() - 2 * s for p, s in zip(points, shared, strict=True)
        ]
        return float(weights @ distances)

    found = merged("frechet", updates, list(weights), tolerance=1e-10).update
    here = np.concatenate([found.left, found.right]).ravel()
    best = min(
        minimize(cost, rng.standard_normal(here.size), method="L-BFGS-B").fun for _ in range(5)
    )
    assert cost(here) == pytest.approx(best, rel=1e-6)


def test_the_invariant_mean_is_pulled_nowhere_whatever_the_gauge():
    """Along every horizontal direction, the sum of squared lengths has no slope: by differences."""
    rng = np.random.default_rng(6)
    updates = related(rng, 3, (7, 6), 2)
    found = merged("frechet", updates, manifold="invariant", tolerance=1e-12, steps=500).update
    b, a = found.left, found.right.T
    p, q = np.linalg.inv(b.T @ b), np.linalg.inv(a @ a.T)

    def nearest(update: Update, b: np.ndarray, a: np.ndarray) -> float:
        """The squared distance in the metric of the mean, in the best of all gauges."""

        def cost(flat: np.ndarray) -> float:
            g = flat.reshape(2, 2)
            x, y = update.left @ g - b, np.linalg.solve(g, update.right.T) - a
            return float(np.sum(p * (x.T @ x)) + np.sum(q * (y @ y.T)))

        start = np.linalg.lstsq(update.left, b, rcond=None)[0]
        return float(minimize(cost, start.ravel(), method="BFGS", options={"gtol": 1e-10}).fun)

    def total(step: float, x: np.ndarray, y: np.ndarray) -> float:
        return sum(nearest(update, b + step * x, a + step * y) for update in updates)

    def horizontal(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Without what is a change of gauge of the mean, (B V, −V A), in its metric."""
        changes = [(b @ v, -v @ a) for v in np.eye(4).reshape(4, 2, 2)]
        products = np.array(
            [[np.sum(p * (x.T @ u)) + np.sum(q * (y @ v.T)) for u, v in changes]]
            + [
                [np.sum(p * (s.T @ u)) + np.sum(q * (t @ v.T)) for u, v in changes]
                for s, t in changes
            ]
        )
        shares = np.linalg.solve(products[1:], products[0])
        for share, (u, v) in zip(shares, changes, strict=True):
            x, y = x - share * u, y - share * v
        return x, y

    for _ in range(3):
        x, y = horizontal(rng.standard_normal(b.shape), rng.standard_normal(a.shape))
        slope = (total(1e-4, x, y) - total(-1e-4, x, y)) / 2e-4
        bend = (total(1e-2, x, y) + total(-1e-2, x, y) - 2 * total(0, x, y)) / 1e-4
        assert abs(slope) <= 1e-5 * bend


def test_frozen_distances_give_fisher_merging_and_without_a_metric_the_average():
    rng = np.random.default_rng(2)
    points, metrics = rng.standard_normal((3, 5, 4)), rng.uniform(0.1, 9.0, (3, 5, 4))
    weights = np.array([0.2, 0.3, 0.5])
    fisher = np.einsum("i,ijk->jk", weights, metrics * points) / np.einsum(
        "i,ijk->jk", weights, metrics
    )
    found = frechet_mean(
        Frozen(list(points), list(metrics), weights), points[0], tolerance=1e-9, steps=5
    )
    assert found.point == pytest.approx(fisher, abs=1e-6)
    plain = Frozen(list(points), [np.ones((5, 4))] * 3, weights)
    average = frechet_mean(plain, points[0], tolerance=1e-9, steps=5).point
    assert average == pytest.approx(np.tensordot(weights, points, 1), abs=1e-12)


def test_on_the_sphere_it_is_the_point_with_equal_angles():
    angles = np.array([0.1, 0.4, 1.3])
    points = np.stack([np.cos(angles), np.sin(angles), 0 * angles], axis=1)
    weights = np.array([0.5, 0.25, 0.25])
    found = frechet_mean(Sphere(points, weights), points[0], tolerance=1e-12, steps=50)
    middle = float(weights @ angles)
    assert found.point == pytest.approx([np.cos(middle), np.sin(middle), 0.0], abs=1e-9)
    assert found.residual <= 1e-12


@pytest.mark.parametrize("manifold", ["balanced", "invariant"])
def test_adapters_with_hardly_anything_in_common_are_reached_in_some_dozens_of_steps(manifold):
    """As trained adapters are: random ones, in many dimensions. Step by step it takes hundreds."""
    rng = np.random.default_rng(8)
    apart = [Update(rng.standard_normal((600, 6)), rng.standard_normal((500, 6))) for _ in range(3)]
    found = merged("frechet", apart, manifold=manifold, steps=60)
    assert found.residual <= 1e-8
    again = merged("frechet", apart[::-1], manifold=manifold, steps=60)
    assert near(dense(again.update), dense(found.update)) <= 1e-6


def test_a_linear_pull_is_followed_to_its_end_in_as_many_steps_as_it_has_directions():
    """One direction alone would take 1,800 steps: by hand, (1 − 0.01)^n = 1e-8."""
    shares = np.array([0.01, 0.3, 0.9])
    slow = Frozen([np.ones(3)], [np.ones(3)], np.ones(1))

    class Slow:
        inner, move = staticmethod(slow.inner), staticmethod(slow.move)

        def pull(self, at):
            return shares * (np.ones(3) - at)

    found = frechet_mean(Slow(), np.zeros(3), tolerance=1e-8, steps=5)
    assert found.point == pytest.approx(np.ones(3), abs=1e-6)


def test_the_gauge_of_an_update_with_little_in_common_is_the_nearest():
    """By a distance of its own, which has no slope there."""
    rng = np.random.default_rng(9)
    b, a, left, right = (rng.standard_normal((40, 3)) for _ in range(4))
    p, q = np.linalg.inv(b.T @ b), np.linalg.inv(a.T @ a)

    def distance(flat: np.ndarray) -> float:
        g = flat.reshape(3, 3)
        x, y = left @ g - b, right @ np.linalg.inv(g).T - a
        return float(np.sum(p * (x.T @ x)) + np.sum(q * (y.T @ y)))

    search = Nearest(p, q, left.T @ left, right.T @ right, left.T @ b, right.T @ a)
    one = np.eye(3)
    found = search.found_from(Gauge(one, one))
    assert found.left @ found.right == pytest.approx(one, abs=1e-9)
    slope = approx_fprime(found.left.ravel(), distance, 1e-7)
    assert np.abs(slope).max() <= 1e-4
    assert distance(found.left) <= distance(one)


def test_what_is_left_is_told_when_steps_run_out():
    rng = np.random.default_rng(3)
    result = merged("frechet", related(rng), steps=1)
    assert result.steps == 1
    assert result.residual > 1e-8


def test_weights_and_padding_keep_to_their_columns():
    rng = np.random.default_rng(4)
    updates = related(rng, 2)
    stack = Stack.of([updates[0], Update.zero((30, 24)), updates[1]], np.array([0.5, 0.3, 0.2]))
    assert stack.column_weights.tolist() == [0.5] * 4 + [0.2] * 4
    assert [stack.width, len(stack.updates)] == [8, 2]


@pytest.mark.parametrize(
    ("method", "name", "value", "message"),
    [
        ("frechet", "manifold", "flat", "available: balanced, chordal, invariant"),
        ("frechet", "rank", "3r", "expected a whole number, or one of r, 2r, sum"),
        ("frechet", "rank", 1.5, "expected a whole number"),
        ("knots", "density", 0, "expected a number above 0, and at most 1"),
    ],
)
def test_values_of_another_kind_are_refused(method, name, value, message):
    with pytest.raises(RecipeError, match=f"^here: found .*{message}"):
        adapter_methods[method].params[name].read(value, "here")
