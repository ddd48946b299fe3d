"""Promises of the intervals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evomerge.statistics.bootstrap import interval, resampled, widened
from evomerge.statistics.power import POWER, detectable
from tests.statistics.samples import normal, sample

LEVEL = 0.025
# Where the share of 300 intervals that hold the truth lies, if each does with 95 %.
NOMINAL = (0.905, 0.985)


def estimate(pair, draws=1000, seed=1):
    """The gain, its interval, its standard error."""
    values = resampled(pair, (seed, 1), draws)
    differences = values[:, 0] - values[:, 1]
    freedom = sum(pair.units) - len(pair.units)
    gain = pair.observed[0] - pair.observed[1]
    return gain, interval(differences, LEVEL, freedom), differences.std()


def covered(make, truth, runs=300):
    """How often the 95 % interval holds the truth."""
    rng = np.random.default_rng(0)
    intervals = [estimate(make(rng), seed=run)[1] for run in range(runs)]
    return np.mean([low <= truth <= high for low, high in intervals])


def relatives(rng, items, gain):
    """Right and wrong of two models, of which 20 % of the items are discordant."""
    kind = rng.random(items)
    lost, gained = 0.1 - gain / 2, 0.1 + gain / 2
    first = np.where(kind < gained, 1.0, np.where(kind < gained + lost, 0.0, rng.random() < 0.5))
    second = np.where(kind < gained, 0.0, np.where(kind < gained + lost, 1.0, first))
    return [first.tolist(), second.tolist()]


@pytest.mark.parametrize("items", [20, 100])
def test_the_interval_holds_the_true_gain_at_its_rate(items):
    rate = covered(lambda rng: sample(normal(rng, items, 0.3)), 0.3)
    assert NOMINAL[0] <= rate <= NOMINAL[1]


def test_so_it_does_for_items_right_or_wrong():
    assert NOMINAL[0] <= covered(lambda rng: sample(relatives(rng, 200, 0.05)), 0.05) <= NOMINAL[1]


def test_so_it_does_for_many_tasks_of_few_items():
    def tasks(rng):
        return sample(*[normal(rng, 4, 0.3) for _ in range(12)])

    assert NOMINAL[0] <= covered(tasks, 0.3) <= NOMINAL[1]


def test_so_it_does_for_a_ratio_of_sums():
    """Documents of any length; the first model needs 0.1 nats less for a byte."""

    def documents(rng):
        sizes = rng.integers(50, 2000, 80)
        rates = np.array([[-0.9], [-1.0]]) + 0.1 * rng.normal(size=(2, 80))
        models = [[(r * s, int(s)) for r, s in zip(row, sizes, strict=True)] for row in rates]
        return sample(models, aggregation="bits_per_byte", weight=-1.0)

    assert NOMINAL[0] <= covered(documents, 0.1 / np.log(2)) <= NOMINAL[1]


def test_every_model_is_resampled_alike():
    """Models that always differ by the same have a gain without any spread."""
    numbers = np.random.default_rng(1).normal(size=50)
    values = resampled(sample([numbers + 0.5, numbers]), (3, 1), 200)
    assert values[:, 0] - values[:, 1] == pytest.approx(0.5)
    assert values[:, 0].std() > 0.05


def test_each_task_is_resampled_within_itself():
    """Tasks whose items are all alike leave nothing to chance, though the tasks differ."""
    values = resampled(sample([[1.0] * 5, [0.0] * 5], [[0.0] * 9, [0.0] * 9]), (3, 1), 50)
    assert values == pytest.approx(np.tile([0.5, 0.0], (50, 1)))


@pytest.mark.parametrize("items", [2, 5, 30])
def test_the_spread_is_that_of_a_mean(items):
    """As many draws as items would make it too small: of 5 items by a tenth."""
    numbers = np.random.default_rng(1).normal(size=(2, items))
    _, _, error = estimate(sample(numbers.tolist()), draws=20_000)
    expected = (numbers[0] - numbers[1]).std(ddof=1) / np.sqrt(items)
    assert error == pytest.approx(expected, rel=0.03)


def test_it_is_that_of_the_seed():
    pair = sample(np.random.default_rng(1).normal(size=(2, 30)).tolist())
    assert np.array_equal(resampled(pair, (3, 1), 700), resampled(pair, (3, 1), 700))
    assert not np.array_equal(resampled(pair, (3, 1), 700), resampled(pair, (4, 1), 700))


@given(level=st.floats(0.001, 0.2), freedom=st.integers(2, 5000))
def test_few_units_widen_the_interval(level, freedom):
    assert widened(level, freedom) < level
    assert widened(level, 10**7) == pytest.approx(level, rel=1e-3)


def test_a_gain_that_is_detectable_is_found_as_often_as_it_says():
    """At a true gain of `detectable`, a test by the interval finds it in about 80 %."""
    rng = np.random.default_rng(2)
    true = detectable(np.sqrt(2 / 100), LEVEL)
    found = [estimate(sample(normal(rng, 100, true)), seed=run)[1][0] > 0 for run in range(400)]
    assert np.mean(found) == pytest.approx(POWER, abs=0.06)


def test_the_detectable_gain_by_hand():
    assert detectable(0.01, 0.025) == pytest.approx(0.01 * (1.959964 + 0.841621))


def test_items_that_all_models_answer_alike_are_drawn_together():
    """To draw among kinds is to draw among items: the spread is the same, to the exact one."""
    wins, losses, items = 30, 12, 400
    first = [1.0] * wins + [0.0] * (items - wins)
    second = [0.0] * wins + [1.0] * losses + [0.0] * (items - wins - losses)
    _, _, error = estimate(sample([first, second]), draws=20_000)
    differences = np.array(first) - np.array(second)
    assert error == pytest.approx(differences.std(ddof=1) / np.sqrt(items), rel=0.03)
    noisy = [x + 1e-9 * n for n, x in enumerate(first)]  # now no two are of a kind
    assert estimate(sample([noisy, second]), draws=20_000)[2] == pytest.approx(error, rel=0.03)
