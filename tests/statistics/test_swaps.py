"""Promises of the permutation test."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evomerge.statistics.mcnemar import mcnemar
from evomerge.statistics.sample import Sample
from evomerge.statistics.swaps import swap_test
from tests.statistics.samples import normal, right_or_wrong, sample

NUMBERS = st.floats(-5, 5).map(lambda x: round(x, 2))
PAIRS = st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=9)
DOCUMENTS = st.lists(st.tuples(st.floats(-50, -1), st.floats(-50, -1)), min_size=1, max_size=7)


def by_definition(differences):
    """The share of all sign flips with a sum as large as the one seen."""
    flips = [
        sum(sign * d for sign, d in zip(signs, differences, strict=True))
        for signs in product((1, -1), repeat=len(differences))
    ]
    return np.mean([flip >= sum(differences) - 1e-9 for flip in flips])


@given(pairs=PAIRS)
def test_of_a_mean_it_is_the_sign_flip_test_of_the_differences(pairs):
    first, second = zip(*pairs, strict=True)
    found = swap_test(sample([first, second]), (1,))
    assert found.greater == pytest.approx(by_definition([a - b for a, b in pairs]))


@given(pairs=PAIRS)
def test_swapping_the_models_swaps_the_tails(pairs):
    first, second = zip(*pairs, strict=True)
    one, other = swap_test(sample([first, second]), (1,)), swap_test(sample([second, first]), (1,))
    assert other == pytest.approx(one[::-1])


@given(pairs=PAIRS)
def test_lower_is_better_where_the_weight_is_negative(pairs):
    first, second = zip(*pairs, strict=True)
    up, down = sample([first, second], weight=1.0), sample([first, second], weight=-1.0)
    assert swap_test(down, (1,)) == pytest.approx(swap_test(up, (1,))[::-1])


@given(documents=DOCUMENTS, sizes=st.randoms(use_true_random=False))
@settings(max_examples=30)
def test_bits_per_byte_of_equal_bytes_is_a_test_of_the_log_likelihoods(documents, sizes):
    lengths = [sizes.randint(1, 90) for _ in documents]
    models = [
        [(pair[model], length) for pair, length in zip(documents, lengths, strict=True)]
        for model in (0, 1)
    ]
    found = swap_test(sample(*[models], aggregation="bits_per_byte", weight=-1.0), (1,))
    assert found.greater == pytest.approx(by_definition([a - b for a, b in documents]), abs=1e-9)


def test_two_tasks_count_by_their_shares():
    """One item that wins a task of 1 outweighs one that loses a task of 2."""
    small, large = [[1.0], [0.0]], [[0.0, 1.0], [1.0, 1.0]]
    # Swaps give ±1/2 ± 1/4; seen is 1/2 - 1/4: so are or exceed 2 of 4.
    assert swap_test(sample(small, large), (1,)).greater == 0.5


def test_models_that_agree_everywhere_have_no_case():
    same = [0.25, 0.5, 1.0]
    assert swap_test(sample([same, same]), (1,)) == (1.0, 1.0)


def test_a_sample_without_items_has_no_case():
    assert swap_test(Sample((), (), np.array([2.0, 1.0])), (1,)) == (1.0, 1.0)


def test_random_swaps_come_close_to_all_swaps():
    rng = np.random.default_rng(0)
    pair = sample(normal(rng, 12, 0.5))
    exact = swap_test(pair, (1,), swaps=2**12)
    assert swap_test(pair, (1,), swaps=4000).greater == pytest.approx(exact.greater, abs=0.02)


def test_random_swaps_are_those_of_the_seed_and_never_give_zero():
    rng = np.random.default_rng(0)
    pair = sample(normal(rng, 60, 9))
    assert swap_test(pair, (7, 2), swaps=500).greater == 1 / 501
    even = sample(rng.normal(size=(2, 60)).tolist())
    assert swap_test(even, (7, 2)) == swap_test(even, (7, 2))
    assert swap_test(even, (7, 2)) != swap_test(even, (8, 2))


def test_for_right_and_wrong_it_agrees_with_mcnemar_but_for_half_of_what_was_seen():
    rng = np.random.default_rng(3)
    pair = sample(right_or_wrong(rng, 2, 300))
    gained, lost = pair.discordant()
    tails = mcnemar(gained, lost)
    found = swap_test(pair, (1,))
    # Both tails count what was seen, here whole, there by half.
    seen = found.greater + found.less - 1
    assert found.greater - seen / 2 == pytest.approx(tails.greater, abs=0.015)


def test_a_constant_lead_is_part_of_what_is_tested():
    """The first model is ahead by 0.2, whatever the items; they take it all back, each a bit."""
    rng = np.random.default_rng(4)
    back = rng.normal(-0.2, 0.1, (1, 80))
    plain = sample([back[0].tolist(), [0.0] * 80])
    ahead = Sample(plain.units, plain.columns, np.array([0.2, 0.0]))
    assert swap_test(plain, (1,)).less < 0.001
    assert 0.01 < swap_test(ahead, (1,)).greater < 0.99


@pytest.mark.parametrize("aggregation", ["mean", "bits_per_byte", "perplexity", "f1_score"])
def test_p_is_uniform_where_neither_model_is_better(aggregation):
    """Of 400 comparisons of equal models at most their share of p-values lies below a level."""
    rng = np.random.default_rng(5)
    ps = np.array(
        [
            swap_test(sample(equals(rng, aggregation), aggregation=aggregation), (1,), 400).greater
            for _ in range(400)
        ]
    )
    for level in (0.025, 0.1, 0.5):
        spread = np.sqrt(level * (1 - level) / len(ps))
        assert np.mean(ps <= level) <= level + 3 * spread
    assert np.mean(ps <= 0.5) >= 0.4


def equals(rng, aggregation, items=40):
    """Two models of which neither is better, their items correlated as those of relatives are."""
    common = rng.normal(size=items)
    if aggregation == "f1_score":
        gold = rng.integers(0, 2, items)
        return [[(int(g), int(g ^ (rng.random() < 0.3))) for g in gold] for _ in range(2)]
    numbers = -np.abs(common + 0.5 * rng.normal(size=(2, items)))
    if aggregation == "bits_per_byte":
        sizes = rng.integers(5, 500, items)
        return [[(x * s, int(s)) for x, s in zip(row, sizes, strict=True)] for row in numbers]
    return numbers.tolist()
