"""Promises of aggregations: what they give is what the harness gives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lm_eval.api import metrics

from evomerge.statistics.aggregation import AGGREGATIONS

NUMBERS = st.floats(-20, 20)
LABELS = st.integers(0, 1)
SIZES = st.integers(1, 500)
PROBABILITIES = st.tuples(*[st.floats(0, 1)] * 3)
CONTRIBUTIONS = {
    "mean": NUMBERS,
    "nanmean": st.one_of(NUMBERS, st.just(float("nan"))),
    "perplexity": NUMBERS,
    "bits_per_byte": st.tuples(NUMBERS, SIZES),
    "weighted_perplexity": st.tuples(NUMBERS, SIZES),
    "brier_score": st.tuples(st.integers(0, 2), PROBABILITIES),
}


def value(name, items):
    rule = AGGREGATIONS[name]
    return float(rule.value(rule.parts(items).sum(axis=0)))


@pytest.mark.parametrize("name", CONTRIBUTIONS)
@given(data=st.data())
def test_the_value_is_that_of_the_harness(name, data):
    items = data.draw(st.lists(CONTRIBUTIONS[name], min_size=1, max_size=12))
    if name == "nanmean" and all(np.isnan(items)):
        return
    expected = getattr(metrics, name)(items)
    assert value(name, items) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(items=st.lists(st.tuples(LABELS, LABELS), min_size=1, max_size=12))
def test_f1_is_that_of_scikit_learn(items):
    sklearn = pytest.importorskip("sklearn.metrics")
    gold, predicted = zip(*items, strict=True)
    expected = sklearn.f1_score(gold, predicted, zero_division=0)
    assert value("f1_score", items) == pytest.approx(expected)


def test_names_are_those_that_the_harness_gives_its_functions():
    for name in AGGREGATIONS:
        assert getattr(metrics, name).__name__ == name


@pytest.mark.parametrize("name", AGGREGATIONS)
@pytest.mark.parametrize("item", ["blue", None, ("red", 1), (0.5, 0.5, 0.5), ("1", "2")])
def test_items_of_another_kind_are_refused(name, item):
    with pytest.raises(TypeError, match="an item counts"):
        AGGREGATIONS[name].parts([item])


def test_of_many_items_the_wrong_one_is_named():
    with pytest.raises(TypeError, match=r"an item counts 3\.5, which is not 2 numbers"):
        AGGREGATIONS["bits_per_byte"].parts([(1.0, 2), (1.5, 3), 3.5])
    with pytest.raises(TypeError, match="an item counts 'blue', which is not a number"):
        AGGREGATIONS["mean"].parts([1.0, True, 0, "blue"])
