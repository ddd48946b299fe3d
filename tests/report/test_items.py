"""Promises of items gained and lost."""

from __future__ import annotations

from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evomerge.errors import StudyError
from evomerge.report.items import changes
from evomerge.report.single import item_changes
from evomerge.trial import HOLDOUT, ItemTable, Score
from tests.report.studies import Book

ANSWERS = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30)


def table(contributions, aggregation: str = "mean", **more) -> ItemTable:
    fields = {"evaluator": "sums", "task": "t", "metric": "acc", "filter": "none", "share": 1.0}
    if not isinstance(contributions, dict):
        contributions = dict(enumerate(contributions))
    given_fields = {**fields, "aggregation": aggregation, **more}
    return ItemTable(contributions=contributions, **given_fields)


def scores(*, up: bool = True) -> dict[str, Score]:
    return {"sums": Score(0.5, up, 10)}


@given(ANSWERS)
def test_the_difference_is_that_of_the_scores(pairs):
    before, after = zip(*[(int(a), int(b)) for a, b in pairs], strict=True)
    (change,) = changes(scores(), [table(before)], [table(after)])
    assert change.difference == pytest.approx(np.mean(after) - np.mean(before))
    assert len(change.gained) - len(change.lost) == sum(after) - sum(before)


@given(ANSWERS)
def test_what_one_gained_the_other_lost(pairs):
    before, after = zip(*[(int(a), int(b)) for a, b in pairs], strict=True)
    (there,) = changes(scores(), [table(before)], [table(after)])
    (back,) = changes(scores(), [table(after)], [table(before)])
    assert (there.gained, there.lost) == (back.lost, back.gained)
    assert there.difference == -back.difference


def test_where_less_is_better_what_falls_is_gained():
    (change,) = changes(scores(up=False), [table([1.0, 2.0, 3.0])], [table([0.5, 2.5, 3.0])])
    assert (change.gained, change.lost, change.items) == ((0,), (1,), 3)


def test_likelihoods_are_compared_in_bits_and_fewer_are_better():
    before = table([(-8 * log(2), 4), (-4 * log(2), 4)], "bits_per_byte", metric="bits_per_byte")
    after = table([(-4 * log(2), 4), (-6 * log(2), 4)], "bits_per_byte", metric="bits_per_byte")
    (change,) = changes({}, [before], [after])
    assert (change.gained, change.lost) == ((0,), (1,))
    assert change.difference == pytest.approx((-1.0 + 0.5) / 2)


def test_only_items_that_both_have_are_compared():
    (change,) = changes(scores(), [table({0: 0, 1: 0, 2: 1})], [table({1: 1, 2: 1, 3: 1})])
    assert (change.items, change.gained) == (2, (1,))


def test_a_metric_of_only_one_of_them_is_left_out():
    assert changes(scores(), [table([1])], [table([1], metric="acc_norm")]) == []


def test_what_are_no_numbers_is_said_to_be_none():
    (change,) = changes(scores(), [table(["a"])], [table(["b"])])
    assert (change.items, change.remark) == (0, "no items in common that are numbers")


def test_an_unknown_direction_is_not_guessed():
    (change,) = changes({}, [table([0])], [table([1])])
    assert change.remark == "which direction is better was not recorded"


@pytest.mark.parametrize("name", ["sums.acc", "sums.t.acc", "sums.acc@none", "sums"])
def test_the_direction_is_found_under_every_name_that_scores_have(name):
    (change,) = changes({name: Score(0.5, False, 1)}, [table([0])], [table([1])])
    assert change.lost == (0,)


def test_items_of_the_search_are_not_compared_with_those_of_the_holdout(tmp_path):
    book = Book(tmp_path / "run")
    book.add(answers=book.answers(0.4, 0.4))
    book.add(HOLDOUT, book.answers(0.4, 0.4), subject=0)
    with pytest.raises(StudyError, match="trial 1 was scored on the holdout, the other one on"):
        item_changes(book.study, 0, 1)


def test_a_recalled_trial_has_the_items_of_the_trial_it_repeats(tmp_path):
    book = Book(tmp_path / "run")
    book.add(answers=book.answers(0.4, 0.4))
    book.add(answers=book.answers(0.6, 0.4))
    book.add(scores=book.study.find(0).scores, recalled=0)
    changed = item_changes(book.study, 2, 1)
    assert changed == item_changes(book.study, 0, 1)
    assert [len(each.gained) > 0 for each in changed] == [True, False]
