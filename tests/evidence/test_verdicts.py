"""Promises of verdicts: what is said, of whom, and how sure it is."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from evomerge.evidence import evidence_of, run_holdout
from evomerge.statistics.mcnemar import mcnemar
from evomerge.study import Study
from evomerge.trial import BASELINES, SIMPLIFICATION, Failure, ItemTable, Result, Score
from tests.evidence.runs import DRAWS, add, add_family, begin, judged, number_of, result, some

RIGHT, WRONG = [1.0], [0.0]


def against(parent, *, gained, lost):
    """Answers that win so many items against others, and lose so many."""
    answers = list(parent)
    wrong = [n for n, each in enumerate(parent) if not each][:gained]
    right = [n for n, each in enumerate(parent) if each][:lost]
    for n in wrong + right:
        answers[n] = 1.0 - answers[n]
    return answers


PARENT = some(0.5)
BASE = some(0.3)


def a_run(folder, *finalists, base=BASE, parents=(PARENT,), **fields):
    """The evidence for finalists of these answers, trials after base and parents."""
    names = [f"p{number}" for number in range(len(parents))]
    with begin(folder) as study:
        add_family(study, parents=names)
        answers = [base, *parents, *finalists]
        for _ in finalists:
            add(study, {"sums": some(0.6)})
        numbers = range(1 + len(parents), len(answers))
        return judged(study, numbers, [{"sums": each} for each in answers], **fields)


def test_a_large_gain_is_said_to_be_one_with_all_that_must_be_known(tmp_path):
    (verdict,) = a_run(tmp_path, against(PARENT, gained=30, lost=10)).verdicts
    assert verdict.word == "gain"
    assert (verdict.number, verdict.against, verdict.test) == (2, "parent p0", "McNemar")
    assert verdict.gain == pytest.approx(0.1)
    low, high = verdict.interval
    assert 0 < low < 0.1 < high
    assert verdict.p == verdict.adjusted == pytest.approx(mcnemar(30, 10).greater)
    assert verdict.level == 0.025
    # (1.96 + 0.84) * the standard error of 40 discordant items of 200
    assert verdict.detectable == pytest.approx(2.8 * np.sqrt((0.2 - 0.01) / 200), rel=0.1)
    assert (verdict.units, verdict.items) == (200, 200)
    assert [each.rival for each in verdict.rivals] == ["base", "parent p0"]


def test_a_small_one_is_not(tmp_path):
    (verdict,) = a_run(tmp_path, against(PARENT, gained=22, lost=18)).verdicts
    assert verdict.word == "no significant gain"
    assert verdict.interval[0] < 0 < verdict.gain < verdict.interval[1]


def test_worse_is_said_too(tmp_path):
    evidence = a_run(tmp_path, against(PARENT, gained=5, lost=40), base=PARENT)
    (verdict,) = evidence.verdicts
    assert verdict.word == "worse"
    assert verdict.gain == pytest.approx(-0.175)
    assert evidence.winner is None


def test_to_beat_the_best_is_to_beat_each(tmp_path):
    """It beats the better parent clearly, by agreeing with it; the worse one by luck only."""
    other = some(0.5)[::-1]
    winner = against(PARENT, gained=12, lost=0)
    (verdict,) = a_run(tmp_path, winner, parents=(PARENT, other), base=BASE).verdicts
    by_name = {each.rival: each for each in verdict.rivals}
    assert by_name["parent p0"].p < 0.001
    assert by_name["parent p1"].p > 0.025
    assert verdict.p == by_name["parent p1"].p
    assert verdict.word == "no significant gain"


def test_more_finalists_need_a_smaller_p(tmp_path):
    """p = .018 is a finding alone, but not as the better one of two."""
    lucky = against(PARENT, gained=26, lost=13)
    even = against(PARENT, gained=10, lost=10)
    (tmp_path / "alone").mkdir()
    (alone,) = a_run(tmp_path / "alone", lucky, base=BASE).verdicts
    assert 0.0125 < mcnemar(26, 13).greater == alone.p <= 0.025
    assert alone.word == "gain"
    both = a_run(tmp_path, lucky, even).verdicts
    assert [each.word for each in both] == ["no significant gain"] * 2
    assert both[0].adjusted == pytest.approx(2 * both[0].p)
    assert both[0].level == 0.0125
    width = [each.interval[1] - each.interval[0] for each in (alone, both[0])]
    assert width[0] < width[1]
    assert alone.detectable < both[0].detectable


def test_a_finalist_that_is_added_later_counts_for_all(tmp_path):
    with begin(tmp_path) as study:
        add_family(study)
        for _ in range(2):
            add(study, {"sums": some(0.6)})
        answers = [BASE, PARENT, against(PARENT, gained=26, lost=13), PARENT]
        by_number = [{"sums": each} for each in answers]
        assert judged(study, [2], by_number).verdicts[0].word == "gain"
        assert judged(study, [3], by_number).verdicts[0].word == "no significant gain"


def test_the_simplified_winner_is_a_finalist(tmp_path):
    with begin(tmp_path) as study:
        add_family(study)
        add(study, {"sums": some(0.6)})
        add(study, {"sums": some(0.6)}, SIMPLIFICATION, label="density = 1.0", subject=2)
        answers = [BASE, PARENT, against(PARENT, gained=30, lost=9), PARENT]
        verdicts = judged(study, [2, 3], [{"sums": each} for each in answers]).verdicts
        assert [each.word for each in verdicts] == ["gain", "no significant gain"]
        assert verdicts[1].label == "density = 1.0"


def test_a_start_that_is_the_best_trial_is_a_finalist_and_other_baselines_are_not(tmp_path):
    with begin(tmp_path) as study:
        add_family(study)
        add(study, {"sums": some(0.8)}, BASELINES, label="uniform soup")
        add(study, {"sums": some(0.7)}, BASELINES, label="default TIES")
        add(study, {"sums": some(0.6)})
        answers = [BASE, PARENT, against(PARENT, gained=30, lost=5), PARENT, PARENT]
        verdicts = judged(study, [4], [{"sums": each} for each in answers]).verdicts
        assert [(each.label, each.word) for each in verdicts] == [
            ("uniform soup", "gain"),
            ("", "no significant gain"),
        ]


def test_models_that_agree_everywhere_have_no_gain_but_a_smallest_one(tmp_path):
    (verdict,) = a_run(tmp_path, PARENT, base=PARENT).verdicts
    assert verdict.word == "no significant gain"
    assert verdict.interval == (0.0, 0.0)
    assert verdict.detectable == 5 / 200  # wins of 5 without a loss: p = 1/64


@pytest.mark.parametrize(("items", "word"), [(19, "too few items for a verdict"), (20, "gain")])
def test_below_twenty_units_there_is_no_verdict(tmp_path, items, word):
    won, lost = RIGHT * items, WRONG * items
    (verdict,) = a_run(tmp_path, won, parents=(lost,), base=lost).verdicts
    assert verdict.word == word
    assert (verdict.gain is None) == (items == 19)
    assert (verdict.notes == ("19 items, at least 20 are needed",)) == (items == 19)


def test_the_unit_is_the_group(tmp_path):
    clusters = {item: f"group {item % 10}" for item in range(200)}
    (verdict,) = a_run(tmp_path, RIGHT * 200, clusters=clusters).verdicts
    assert verdict.word == "too few items for a verdict"
    assert (verdict.units, verdict.items) == (10, 200)
    assert verdict.notes == ("10 groups of items, at least 20 are needed",)


def test_items_that_only_repeat_each_other_are_no_evidence(tmp_path):
    """40 discordant items of 4 groups are 4 tosses of a coin, not 40."""
    clusters = {item: f"group {item // 10}" for item in range(400)}
    parent = some(0.5, 400)
    finalist = [1.0] * 230 + [0.0] * 170
    (tmp_path / "plain").mkdir()
    (plain,) = a_run(tmp_path / "plain", finalist, parents=(parent,), base=parent).verdicts
    (grouped,) = a_run(
        tmp_path, finalist, parents=(parent,), base=parent, clusters=clusters
    ).verdicts
    assert plain.word == "gain"
    assert grouped.word == "no significant gain"
    assert (grouped.p, grouped.test) == (1 / 8, "permutation")


def test_without_a_holdout_the_evidence_says_so(tmp_path):
    with begin(tmp_path, holdout=False) as study:
        add_family(study)
        evidence = evidence_of(study)
    assert evidence.verdicts == ()
    assert evidence.notes[0].startswith("no holdout")


def test_a_holdout_that_is_not_opened_yet_is_not_missing(tmp_path):
    with begin(tmp_path) as study:
        add_family(study)
        assert "not opened yet" in evidence_of(study).notes[0]


def test_an_unknown_aggregation_has_no_verdict(tmp_path):
    (verdict,) = a_run(tmp_path, PARENT, aggregation="median").verdicts
    assert verdict.word == "no verdict"
    assert "no verdict for this aggregation, 'median'" in verdict.notes[0]


def test_without_base_and_parents_there_is_no_verdict(tmp_path):
    with begin(tmp_path) as study:
        add(study, {"sums": some(0.5)}, BASELINES, label="uniform soup")
        add(study, {"sums": some(0.6)})
        (verdict,) = judged(study, [1], [{"sums": PARENT}, {"sums": PARENT}]).verdicts
    assert verdict.word == "no verdict"


def test_what_could_not_be_scored_is_named(tmp_path):
    with begin(tmp_path) as study:
        add_family(study)
        for _ in range(2):
            add(study, {"sums": some(0.6)})

        def score(tree):
            if number_of(tree) in {0, 3}:
                return Result(failure=Failure("error", "it broke"))
            return result({"sums": PARENT})

        run_holdout(study, [2, 3], score)
        evidence = evidence_of(study, DRAWS)
    assert [each.number for each in evidence.verdicts] == [2]
    assert [each.rival for each in evidence.verdicts[0].rivals] == ["parent words"]
    assert evidence.notes == (
        "base could not be scored on the holdout: it broke",
        "trial 3 could not be scored on the holdout: it broke",
    )


def test_a_constraint_that_the_holdout_breaks_is_noted(tmp_path):
    with begin(tmp_path, constraints={"prose": {"max": 3.0}}) as study:
        for label in ("base", "parent words", ""):
            both = result({"sums": some(0.5), "prose": [2.0] * 200})
            add(study, both, BASELINES if label else "search", label=label)
        broken = {"sums": PARENT, "prose": [3.25] * 200}
        (verdict,) = judged(study, [2], [broken] * 3).verdicts
    assert verdict.notes == ("on the holdout its prose is 3.25, which violates the constraint",)


def test_a_constraint_that_the_holdout_does_not_measure_is_noted(tmp_path):
    with begin(tmp_path, constraints={"prose": {"max": 3.0}}) as study:
        add_family(study)
        add(study, result({"sums": some(0.5), "prose": [2.0] * 200}))
        (verdict,) = judged(study, [2], [{"sums": PARENT}] * 3).verdicts
    assert verdict.notes == ("the holdout does not measure 'prose', which is constrained",)


def test_the_gain_of_a_front_is_the_mean_of_scaled_objectives(tmp_path):
    """Spans .2 and .1 on the search; on the holdout .1 and .1 better: (.5 + 1) / 2."""
    with begin(tmp_path, objectives=["sums", "words"]) as study:
        for label, a, b in (("base", 0.3, 0.5), ("parent a", 0.5, 0.4), ("parent b", 0.4, 0.4)):
            add(study, {"sums": some(a), "words": some(b)}, BASELINES, label=label)
        add(study, {"sums": some(0.6), "words": some(0.6)})
        low = {"sums": some(0.3), "words": some(0.5)}
        answers = [low, low, low, {"sums": some(0.4), "words": some(0.6)}]
        evidence = judged(study, [3], answers)
    (verdict,) = evidence.verdicts
    assert verdict.gain == pytest.approx(0.75)
    assert (verdict.word, verdict.test, verdict.units) == ("gain", "permutation", 400)
    assert evidence.gain == "the mean of sums, words, each scaled by the span of the baselines"


def texts(rng, lead):
    """(log-likelihood, bytes) of 60 documents: ``lead`` nats a byte better than others."""
    sizes = np.random.default_rng(0).integers(100, 3000, 60)
    rates = np.random.default_rng(1).normal(-1, 0.2, 60) + rng.normal(lead, 0.05, 60)
    return [(float(r * s), int(s)) for r, s in zip(rates, sizes, strict=True)]


def prose(pairs):
    value = -sum(a for a, _ in pairs) / sum(b for _, b in pairs) / np.log(2)
    contributions = dict(enumerate(pairs))
    table = ItemTable("prose", "prose", "bpb", "none", "bits_per_byte", 1.0, contributions)
    return Result({"prose": Score(value, False, 60)}, (table,))


@pytest.mark.parametrize(
    ("lead", "word"), [(0.05, "gain"), (0.0, "no significant gain"), (-0.05, "worse")]
)
def test_bits_per_byte_have_verdicts_and_less_is_better(tmp_path, lead, word):
    rng = np.random.default_rng(2)
    with begin(tmp_path, objectives="prose") as study:
        for label in ("base", "parent words", ""):
            add(study, prose(texts(rng, 0)), BASELINES if label else "search", label=label)
        leads = [0, 0, lead]
        run_holdout(study, [2], lambda tree: prose(texts(rng, leads[number_of(tree)])))
        (verdict,) = evidence_of(study, 2000).verdicts
    assert (verdict.word, verdict.units) == (word, 60)
    assert verdict.interval[0] < lead / np.log(2) < verdict.interval[1]


def test_the_same_ledger_always_says_the_same_and_json_can_hold_it(tmp_path):
    first = a_run(tmp_path, against(PARENT, gained=30, lost=10))
    with Study.open(tmp_path / "run") as study:
        again = evidence_of(study, DRAWS)
    assert again == first
    tree = json.loads(json.dumps(first.tree(), allow_nan=False))
    assert tree["verdicts"][0]["word"] == "gain"
    assert tree["verdicts"][0]["rivals"][1]["rival"] == "parent p0"


def test_a_line_scored_on_other_items_has_no_verdict(tmp_path):
    """The holdout of the config was changed between two finalists."""
    with begin(tmp_path) as study:
        add_family(study)
        add(study, {"sums": some(0.6)})
        answers = [{"sums": PARENT}, {"sums": PARENT}, {"sums": PARENT[:150]}]
        (verdict,) = judged(study, [2], answers).verdicts
    assert verdict.word == "no verdict"
    assert "different items" in verdict.notes[0]


def test_the_winner_is_the_best_of_the_search_if_it_gains_else_the_one_that_gains_most(tmp_path):
    good, better = against(PARENT, gained=40, lost=5), against(PARENT, gained=50, lost=2)
    evidence = a_run(tmp_path, good, better, PARENT)
    assert [each.word for each in evidence.verdicts] == ["gain", "gain", "no significant gain"]
    assert evidence.best == evidence.verdicts[0].number
    assert evidence.winner == evidence.verdicts[0]
    assert replace(evidence, best=evidence.verdicts[2].number).winner == evidence.verdicts[1]


def test_no_model_and_no_torch_is_needed_to_read_the_evidence(tmp_path):
    evidence = a_run(tmp_path, against(PARENT, gained=30, lost=10))
    program = (
        "import sys\n"
        "from evomerge.evidence import evidence_of\n"
        "from evomerge.study import Study\n"
        f"print(evidence_of(Study.open({str(tmp_path / 'run')!r}), {DRAWS}))\n"
        "assert not {'torch', 'transformers', 'numba'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == str(evidence)
