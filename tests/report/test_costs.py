"""Promises of where time went and of why trials failed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from evomerge.report.costs import WORK, failures, times
from tests.report.trials import failed, trial

PHASES = st.dictionaries(
    st.sampled_from(["ask", "merge", "probe", "forward", "evaluate", "hash"]), st.floats(0, 100)
)


@given(st.lists(PHASES, max_size=6))
def test_all_time_is_work_or_overhead(listed):
    trials = [trial(n, values={}, seconds=seconds) for n, seconds in enumerate(listed)]
    found = times(trials)
    work = sum(seconds for phase, seconds in found.phases.items() if phase in WORK)
    assert abs(found.total - work - found.overhead * found.trials) < 1e-9 * max(1, found.total)
    assert list(found.phases.values()) == sorted(found.phases.values(), reverse=True)


def test_the_overhead_is_that_of_one_trial():
    seconds = {"ask": 1.0, "merge": 2.0, "forward": 3.0, "evaluate": 0.5}
    trials = [trial(0, values={}, seconds=seconds), trial(1, values={}, seconds=seconds)]
    assert times(trials).overhead == 0.5


def test_a_recalled_trial_took_no_time_of_its_own():
    trials = [trial(0, values={}), trial(1, values={}, recalled=0, seconds={"ask": 1.0})]
    assert times(trials).trials == 1


def test_no_trials_take_no_time():
    assert (times([]).trials, times([]).overhead) == (0, 0.0)


def test_failures_are_grouped_by_what_they_say_the_commonest_first():
    trials = [
        failed(0, "rare"),
        failed(1, "common"),
        failed(2, "common"),
        failed(3, "common", "memory"),
        trial(4, values={"sums": 0.5}),
    ]
    found = [(group.kind, group.message, group.trials) for group in failures(trials)]
    assert found == [
        ("error", "common", (1, 2)),
        ("error", "rare", (0,)),
        ("memory", "common", (3,)),
    ]


def test_the_dead_are_one_group_whatever_their_scores():
    trials = [failed(n, f"sums is {n} on 4 items, below 9", "dead") for n in range(3)]
    found = [(group.kind, group.message, group.trials) for group in failures(trials)]
    assert found == [("dead", "sums is 0 on 4 items, below 9", (0, 1, 2))]
