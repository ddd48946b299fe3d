"""Promises of the holdout: everything is scored on it once, and is in the ledger."""

from __future__ import annotations

from evomerge.evidence import run_holdout
from evomerge.study import Study
from evomerge.trial import HOLDOUT, Failure, Result
from tests.evidence.runs import add, add_family, begin, number_of, result, some


class Scorer:
    """Scores, and remembers what it was asked."""

    def __init__(self, failures=()):
        self.asked = []
        self.failures = dict(failures)

    def __call__(self, tree):
        number = number_of(tree)
        self.asked.append(number)
        kind = self.failures.get(number)
        return Result(failure=Failure(kind, "no")) if kind else result({"sums": some(0.5)})


def begun(folder):
    study = begin(folder)
    add_family(study)
    for share in (0.5, 0.6, 0.7):
        add(study, {"sums": some(share)})
    return study


def test_baselines_and_finalists_are_scored_each_in_a_line_of_its_own(tmp_path):
    with begun(tmp_path) as study:
        scorer = Scorer()
        lines = run_holdout(study, [4, 2], scorer)
        assert scorer.asked == [0, 1, 4, 2]
        assert [line.subject for line in lines] == [0, 1, 4, 2]
        assert list(study.trials[5:]) == lines
        assert {line.stage for line in lines} == {HOLDOUT}
        assert [line.label for line in lines] == ["base", "parent words", "", ""]
        assert len(study.tables(8)[0].contributions) == 200


def test_asked_again_they_are_recalled(tmp_path):
    with begun(tmp_path) as study:
        first = run_holdout(study, [4], Scorer())
    with Study.open(tmp_path / "run", write=True) as study:
        scorer = Scorer()
        again = run_holdout(study, [4, 3], scorer)
        assert scorer.asked == [3]
        assert again[:3] == first


def test_a_holdout_that_was_cut_off_goes_on(tmp_path):
    with begun(tmp_path) as study:

        def cut(tree):
            if number_of(tree) == 1:
                raise KeyboardInterrupt
            return result({"sums": some(0.5)})

        try:
            run_holdout(study, [4], cut)
        except KeyboardInterrupt:
            scorer = Scorer()
            run_holdout(study, [4], scorer)
        assert scorer.asked == [1, 4]


def test_only_what_may_pass_is_tried_again(tmp_path):
    with begun(tmp_path) as study:
        run_holdout(study, [2, 3, 4], Scorer({2: "error", 3: "deadline", 4: "worker"}))
        scorer = Scorer({4: "memory"})
        lines = run_holdout(study, [2, 3, 4], scorer)
        assert scorer.asked == [3, 4]
        assert [line.failure and line.failure.kind for line in lines[2:]] == [
            "error",
            None,
            "memory",
        ]


def test_a_trial_named_twice_is_scored_once(tmp_path):
    with begun(tmp_path) as study:
        scorer = Scorer()
        run_holdout(study, [4, 4, 0], scorer)
        assert scorer.asked == [0, 1, 4]
