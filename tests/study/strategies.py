"""Any trial, any items."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from evomerge.trial import Failure, ItemTable, Score, Trial

NAMES = st.text(min_size=1, max_size=12)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.none() | st.booleans() | st.integers() | FINITE | st.text(max_size=12)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
MAPPINGS = st.dictionaries(NAMES, TREES, max_size=5)
CONTRIBUTIONS = st.recursive(
    st.none() | st.integers() | FINITE | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3).map(tuple),
    max_leaves=6,
)
INDICES = st.integers(0, 10**6)
SCORES = st.builds(Score, FINITE, st.booleans(), st.integers(0, 10**6))
FAILURES = st.builds(
    Failure, st.sampled_from(["error", "deadline", "memory", "worker"]), st.text(max_size=40)
)

tables = st.builds(
    ItemTable,
    evaluator=NAMES,
    task=NAMES,
    metric=NAMES,
    filter=NAMES,
    aggregation=st.sampled_from(["mean", "bits_per_byte"]),
    share=st.floats(0, 1),
    contributions=st.dictionaries(INDICES, CONTRIBUTIONS, max_size=6),
    clusters=st.dictionaries(INDICES, NAMES, max_size=3),
)

trials = st.builds(
    Trial,
    number=st.integers(0, 10**6),
    stage=st.sampled_from(["baselines", "search", "retries", "simplification", "holdout"]) | NAMES,
    recipe=MAPPINGS,
    label=st.text(max_size=12),
    point=st.none()
    | st.dictionaries(NAMES, FINITE | st.integers() | st.text(max_size=8), max_size=4),
    scores=st.dictionaries(NAMES, SCORES, max_size=3),
    failure=st.none() | FAILURES,
    seconds=st.dictionaries(NAMES, st.floats(0, 1e6), max_size=3),
    attempts=st.integers(1, 5),
    subject=st.none() | st.integers(0, 10**6),
)


def studies(most: int = 6) -> st.SearchStrategy[list[tuple[Trial, tuple[ItemTable, ...]]]]:
    """What a study records: trials in order, each with its items."""
    entry = st.tuples(trials, st.lists(tables, max_size=2).map(tuple))
    return st.lists(entry, max_size=most).map(
        lambda entries: [
            (replace(trial, number=number), items) for number, (trial, items) in enumerate(entries)
        ]
    )
