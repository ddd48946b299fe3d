"""Experts of one digit task each, from one start: where averaging fails, looking at data helps.

Which of the methods is better than which in a paper is not asserted: only that both beat the mean.
"""

from __future__ import annotations

import pytest

from tests.measurements.digits import accuracy, tasks, trained
from tests.measurements.digits_merged import fishers_of, grams_of, merge_of

pytest.importorskip("sklearn.datasets")


@pytest.fixture(scope="module")
def experts():
    return [trained(task) for task in tasks()]


def mean_accuracy(model) -> float:
    return sum(accuracy(model, task) for task in tasks()) / len(tasks())


@pytest.fixture(scope="module")
def average(experts) -> float:
    return mean_accuracy(merge_of("linear", experts))


def test_every_expert_knows_its_task(experts, average):
    assert min(accuracy(e, t) for e, t in zip(experts, tasks(), strict=True)) > 0.94
    assert average < 0.75


def test_regmean_beats_the_average(experts, average):
    known = [grams_of(expert, task) for expert, task in zip(experts, tasks(), strict=True)]
    assert mean_accuracy(merge_of("regmean", experts, known)) > average + 0.1


def test_fisher_beats_the_average(experts, average):
    known = [fishers_of(expert, task) for expert, task in zip(experts, tasks(), strict=True)]
    assert mean_accuracy(merge_of("fisher", experts, known)) > average + 0.04
