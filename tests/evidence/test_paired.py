"""Promises of the items side by side: which tables stand behind a score, and what a unit is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from evomerge.evidence.paired import Scored, UntestableError, count_items, sample_of
from evomerge.trial import HOLDOUT, ItemTable, Score, Trial

ANSWERS = ([1.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 0.0])


def table(answers, **fields):
    ordinary = ItemTable("sums", "sums", "acc", "none", "mean", 1.0, dict(enumerate(answers)))
    return replace(ordinary, **fields)


def scored(*tables, **values):
    """A model with these tables and scores; by default a score is the mean of its tables."""
    if not values:
        values = {
            one.evaluator: sum(
                each.share * np.mean(list(each.contributions.values()))
                for each in tables
                if each.evaluator == one.evaluator
            )
            for one in tables
        }
    scores = {name: Score(float(value), True, 4) for name, value in values.items()}
    return Scored(Trial(0, HOLDOUT, {}, scores=scores, subject=0), tables)


def both(**fields):
    return [scored(table(answers, **fields), sums=np.mean(answers)) for answers in ANSWERS]


def test_a_mean_is_computed_again_from_its_items():
    sample = sample_of(both(), {"sums": 2.0})
    assert sample.observed == pytest.approx([1.5, 0.5])
    assert sample.units == (4,)
    assert sample.pair(0, 1).discordant() == (2, 0)
    assert sample.share == 0.5


def test_a_mean_of_tasks_weighs_each_by_its_share():
    models = [
        scored(
            table(answers, task="a", share=0.25),
            table(answers[:2], task="b", share=0.75),
            sums=0.25 * np.mean(answers) + 0.75 * np.mean(answers[:2]),
        )
        for answers in ANSWERS
    ]
    sample = sample_of(models, {"sums": 1.0})
    assert sample.units == (4, 2)
    assert count_items(models, {"sums": 1.0}) == 6
    assert sample.share is None  # items of different tasks count differently


def test_tasks_of_one_size_can_be_counted_together():
    models = [
        scored(table(answers, task="a", share=0.5), table(answers[::-1], task="b", share=0.5))
        for answers in ANSWERS
    ]
    sample = sample_of(models, {"sums": 1.0})
    assert sample.share == 0.125
    assert sample.pair(0, 1).discordant() == (4, 0)


def test_tables_that_are_only_reported_do_not_count():
    models = [
        scored(table(answers), table([9.0] * 4, metric="other", share=0.0)) for answers in ANSWERS
    ]
    assert sample_of(models, {"sums": 1.0}).observed == pytest.approx([0.75, 0.25])


@pytest.mark.parametrize("name", ["sums.other", "sums.sums.other", "sums.other@none"])
def test_a_further_metric_is_found_by_its_name(name):
    models = [
        scored(table(answers), table([0.5] * 4, metric="other", share=0.0), **{name: 0.5})
        for answers in ANSWERS
    ]
    assert sample_of(models, {name: 1.0}).observed == pytest.approx([0.5, 0.5])


def test_a_filter_can_be_named():
    models = [
        scored(
            table(answers, share=0.0),
            table([0.5] * 4, filter="strict", share=0.0),
            **{"sums.acc": np.mean(answers), "sums.acc@strict": 0.5},
        )
        for answers in ANSWERS
    ]
    assert sample_of(models, {"sums.acc@strict": 1.0}).observed == pytest.approx([0.5, 0.5])
    assert sample_of(models, {"sums.acc": 1.0}).observed == pytest.approx([0.75, 0.25])


def test_two_evaluators_of_one_task_share_its_units():
    """What depends on the same items must be resampled together."""
    models = [
        scored(table(answers), table([-x for x in answers], evaluator="inverse"))
        for answers in ANSWERS
    ]
    sample = sample_of(models, {"sums": 1.0, "inverse": 1.0})
    assert sample.units == (4,)
    counts = [np.array([[4.0, 0.0, 0.0, 0.0], [0.0, 1.0, 1.0, 2.0]])]
    assert sample.values(counts) == pytest.approx(np.zeros((2, 2)))


def test_grouped_items_are_one_unit():
    models = both(clusters={0: "x", 1: "x", 2: "y", 3: "y"})
    sample = sample_of(models, {"sums": 1.0})
    assert sample.units == (2,)
    assert sample.observed == pytest.approx([0.75, 0.25])
    assert sample.share is None  # not to be counted one by one
    # The first group alone: one of two right, and none.
    assert sample.values([np.array([[1.0, 0.0]])]) == pytest.approx(np.array([[0.5, 0.0]]))


def test_items_without_a_group_stand_for_themselves():
    sample = sample_of(both(clusters={0: "x", 1: "x"}), {"sums": 1.0})
    assert sample.units == (3,)


def test_groups_of_one_item_change_nothing():
    sample = sample_of(both(clusters={n: str(n) for n in range(4)}), {"sums": 1.0})
    assert sample.units == (4,)
    assert sample.share == 0.25


def test_a_score_that_is_the_same_for_all_needs_no_items():
    models = [scored(sums=0.5), scored(sums=0.5)]
    sample = sample_of(models, {"sums": 2.0})
    assert sample.observed == pytest.approx([0.0, 0.0])


def test_a_score_of_no_items_is_exact():
    models = [
        Scored(Trial(0, HOLDOUT, {}, scores={"layers": Score(value, False, 0)}), ())
        for value in (24.0, 20.0)
    ]
    assert sample_of(models, {"layers": -0.1}).observed == pytest.approx([0.0, 0.4])


def test_a_huge_score_in_common_does_not_drown_the_others():
    """1e15 bytes and an accuracy do not fit into one number of 16 digits."""
    models = [scored(table(answers), sums=np.mean(answers), size=1e15) for answers in ANSWERS]
    sample = sample_of(models, {"size": -1.0, "sums": 1.0})
    assert sample.observed[0] - sample.observed[1] == 0.5


BLUE, NAN = ["blue"], [float("nan")]
UNTESTABLE = {
    "one number, without items": [scored(sums=0.5), scored(sums=0.6)],
    "different items": [scored(table([1.0, 0.0])), scored(table([1.0, 0.0, 1.0]))],
    "from the same tasks": [scored(table([1.0])), scored(table([1.0], task="words"))],
    "no verdict for this aggregation, 'median'": both(aggregation="median"),
    "'blue', which is not a number": [scored(table(BLUE), sums=0)] * 2,
    "not a finite number": [scored(table(NAN), sums=0)] * 2,
}


@pytest.mark.parametrize("reason", UNTESTABLE)
def test_what_cannot_be_compared_says_why(reason):
    with pytest.raises(UntestableError, match=reason):
        sample_of(UNTESTABLE[reason], {"sums": 1.0})


def test_items_that_do_not_add_up_to_their_score_are_refused():
    """A user's own aggregation may be called 'mean', and be another."""
    models = [scored(table(ANSWERS[0]), sums=0.9)]
    with pytest.raises(UntestableError, match=r"'sums' add up to 0\.75, but the score is 0\.9"):
        sample_of(models, {"sums": 2.0})
