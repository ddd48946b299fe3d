"""DARE and DELLA draw other masks than mergekit, with the same statistics; both are the theory's.

The draws are seeded, so nothing here fails by chance. Limits are five standard deviations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import sqrt
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.methods.in_memory import merged
from tests.methods.mergekit_in_memory import by_mergekit
from tests.parity.conftest import Zoo
from tests.parity.side_by_side import assert_same, follow, weights

pytestmark = pytest.mark.parity

SIGMAS = 5
SHAPE = (48, 64)
SIZE = SHAPE[0] * SHAPE[1]
DARE, DELLA = ["dare_linear", "dare_ties"], ["della_linear", "della"]

rng = np.random.default_rng(11)
DELTA = rng.standard_normal(SHAPE).astype(np.float32)
OTHER = rng.standard_normal(SHAPE).astype(np.float32)
ZEROS = np.zeros(SHAPE, np.float32)

Merge = Callable[..., np.ndarray]


def ours(method: str, arrays: list[np.ndarray], seed: int, **given) -> np.ndarray:
    return merged(method, arrays, base=np.zeros_like(arrays[0]), seed=seed, **given)


def theirs(method: str, arrays: list[np.ndarray], seed: int, **given) -> np.ndarray:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return by_mergekit(method, arrays, base=np.zeros_like(arrays[0]), **given)


@pytest.fixture(params=[ours, theirs], ids=["ours", "mergekit's"])
def merge(request: pytest.FixtureRequest) -> Merge:
    return request.param


def one(merge: Merge, method: str, seeds: int, **given) -> Iterator[np.ndarray]:
    """What is left of the task vector, for one seed after the other."""
    return (merge(method, [DELTA], seed, weight=[1.0], **given) for seed in range(seeds))


def within(found: float, expected: float, deviation: float) -> bool:
    return abs(found - expected) <= SIGMAS * deviation


def fits(counts: np.ndarray, trials: int, chances: np.ndarray | float) -> bool:
    """Whether counts of successes are binomial: chi squared, one degree of freedom each."""
    expected = trials * np.broadcast_to(chances, counts.shape)
    statistic = ((counts - expected) ** 2 / (expected * (1 - chances))).sum()
    return within(statistic, counts.size, sqrt(2 * counts.size))


# --- who survives ---


@pytest.mark.parametrize("method", DARE)
@pytest.mark.parametrize("density", [0.1, 0.5, 0.83])
def test_dare_keeps_each_element_with_the_chance_of_the_density(merge, method, density):
    seeds = 40
    kept = sum(
        (left != 0).astype(int)
        for left in one(merge, method, seeds, density=[density], rescale=False)
    )
    total, draws = kept.sum(), seeds * SIZE
    assert within(total, draws * density, sqrt(draws * density * (1 - density)))
    assert fits(kept, seeds, density)
    assert fits(kept.sum(0), seeds * SHAPE[0], density)
    assert fits(kept.sum(1), seeds * SHAPE[1], density)


def chances(density: float, epsilon: float, columns: int) -> np.ndarray:
    """DELLA's, by rank from the smallest to the largest."""
    return density - epsilon + 2 * epsilon * np.arange(columns) / (columns - 1)


@pytest.mark.parametrize("method", DELLA)
@pytest.mark.parametrize(
    ("density", "epsilon"), [(0.5, 0.15), (0.3, 0.29), (0.8, 0.0), (0.5, -0.2)]
)
def test_della_keeps_by_rank_within_a_row(merge, method, density, epsilon):
    seeds = 40
    order = np.argsort(np.abs(DELTA), axis=1)
    given = {"density": [density], "epsilon": [epsilon], "rescale": False}
    kept = sum(
        np.take_along_axis(left != 0, order, axis=1).astype(int)
        for left in one(merge, method, seeds, **given)
    )
    expected = chances(density, epsilon, SHAPE[1])
    assert fits(kept.sum(0), seeds * SHAPE[0], expected)
    assert fits(kept, seeds, expected)


def test_della_takes_a_vector_for_one_row(merge):
    seeds, vector = 60, DELTA.reshape(-1)[:500]
    kept = sum(
        (merge("della", [vector], seed, weight=[1.0], density=[0.5], rescale=False) != 0).astype(
            int
        )
        for seed in range(seeds)
    )
    assert fits(kept[np.argsort(np.abs(vector))], seeds, chances(0.5, 0.15, len(vector)))


@pytest.mark.parametrize(
    ("method", "given"), [("dare_linear", {}), ("della_linear", {"epsilon": [0.0, 0.0]})]
)
def test_models_are_thinned_independently(merge, method, given):
    seeds, found = 30, np.zeros((2, 2), int)
    models = [1000 * np.sign(DELTA), np.sign(OTHER)]  # whose sums tell who is in them
    given = {**given, "weight": [1.0, 1.0], "density": [0.6, 0.3], "rescale": False}
    for seed in range(seeds):
        left = merge(method, models, seed, **given)
        first = np.abs(left) > 500
        second = left != models[0] * first
        for a, b in np.ndindex(2, 2):
            found[a, b] += np.count_nonzero((first == a) & (second == b))
    chance, draws = np.outer([0.4, 0.6], [0.7, 0.3]), seeds * SIZE
    deviation = np.sqrt(draws * chance * (1 - chance))
    assert (np.abs(found - draws * chance) <= SIGMAS * deviation).all()


# --- what becomes of the survivors ---


@pytest.mark.parametrize("method", [*DARE, *DELLA])
def test_the_length_is_restored_and_the_proportions_are_kept(merge, method):
    for left in one(merge, method, 5, density=[0.4]):
        assert np.abs(left).sum() == pytest.approx(np.abs(DELTA).sum(), rel=1e-5)
        gains = left[left != 0] / DELTA[left != 0]
        assert gains.min() == pytest.approx(gains.max(), rel=1e-5)


@pytest.mark.parametrize("method", [*DARE, *DELLA])
def test_survivors_stay_as_they_are_unless_rescaled(merge, method):
    for left in one(merge, method, 5, density=[0.4], rescale=False):
        assert (left[left != 0] == DELTA[left != 0]).all()


@pytest.mark.parametrize("method", DARE)
@pytest.mark.parametrize("density", [0.2, 0.7])
def test_dare_leaves_the_task_vector_as_it_is_on_average(merge, method, density):
    seeds = 60
    mean = sum(one(merge, method, seeds, density=[density])) / seeds
    slope = float((mean * DELTA).sum() / (DELTA**2).sum())
    # Of an element, the variance is delta^2 (1 - p) / p; deltas are normal: E d^4 = 3 (E d^2)^2.
    assert within(slope, 1, sqrt(3 * (1 - density) / density / SIZE / seeds))


@pytest.mark.parametrize("method", DELLA)
def test_della_favours_the_large_on_average(merge, method):
    seeds, density, epsilon = 120, 0.5, 0.3
    mean = sum(one(merge, method, seeds, density=[density], epsilon=[epsilon])) / seeds
    sizes = np.sort(np.abs(DELTA), axis=1)
    order = np.argsort(np.abs(DELTA), axis=1)
    by_rank = np.take_along_axis(mean * np.sign(DELTA), order, axis=1).sum(0)
    chance = chances(density, epsilon, SHAPE[1])
    gain = sizes.sum() / (sizes * chance).sum()
    deviation = gain * np.sqrt((sizes**2).sum(0) * chance * (1 - chance) / seeds)
    assert (np.abs(by_rank - gain * chance * sizes.sum(0)) <= SIGMAS * deviation).all()


# --- whole models ---


@pytest.mark.parametrize("method", [*DARE, *DELLA])
def test_whole_merges_have_the_same_statistics(tmp_path: Path, zoo: Zoo, method: str):
    expert = {"model": "llama/expert_1", "parameters": {"weight": 1.0, "density": 0.4}}
    tree = zoo({"merge_method": method, "base_model": "llama/base", "models": [expert]})
    pair = follow({**tree, "dtype": "float32"}, tmp_path, random_seed=3)
    base = weights(Path(tree["base_model"]))
    expert = weights(Path(tree["models"][0]["model"]))
    for model in (pair.ours, pair.theirs):
        assert sorted(model.tensors) == sorted(base)
        kept = expected = variance = 0.0
        for name, tensor in model.tensors.items():
            delta, left = (expert[name] - base[name]).numpy(), (tensor - base[name]).numpy()
            assert not left[delta == 0].any()
            assert np.abs(left).sum() == pytest.approx(np.abs(delta).sum(), rel=1e-4)
            chance = chance_of_each(delta, 0.4, 0.0 if method in DARE else 0.15)[delta != 0]
            kept += np.count_nonzero(left)
            expected += chance.sum()
            variance += (chance * (1 - chance)).sum()
        assert within(kept, expected, sqrt(variance))


def chance_of_each(delta: np.ndarray, density: float, epsilon: float) -> np.ndarray:
    """Each element's, by its rank in its row."""
    rows = np.atleast_2d(delta)
    ranks = np.abs(rows).argsort(axis=1, kind="stable").argsort(axis=1)
    return chances(density, epsilon, rows.shape[1])[ranks].reshape(delta.shape)


@pytest.mark.parametrize("method", [*DARE, *DELLA])
@pytest.mark.parametrize("density", [1.0, 1.5])
def test_whole_merges_are_equal_where_nothing_is_dropped(
    tmp_path: Path, zoo: Zoo, method: str, density: float
):
    own = [{"weight": weight, "density": density} for weight in (0.7, 0.4)]
    tree = {
        "merge_method": method,
        "base_model": "llama/base",
        "models": [
            {"model": f"llama/expert_{n}", "parameters": each} for n, each in enumerate(own, 1)
        ],
        "parameters": {"lambda": 0.8},
        "dtype": "float32",
    }
    if density > 1:
        with pytest.warns(UserWarning, match="lies outside"):
            pair = follow(zoo(tree), tmp_path)
    else:
        pair = follow(zoo(tree), tmp_path)
    assert_same(pair)
