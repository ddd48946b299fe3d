"""Promises of what a report says, first of all in its first line."""

from __future__ import annotations

from pathlib import Path

import pytest

from evomerge.evidence import Evidence, Verdict
from evomerge.report.blocks import Code, Heading, Paragraph, Table
from evomerge.report.document import document
from evomerge.report.statements import headline, sentence
from evomerge.report.summary import Summary, summarise
from evomerge.study import Study
from evomerge.trial import BASELINES, SIMPLIFICATION
from tests.report.studies import Book, finished


@pytest.fixture(scope="module")
def study(module_folder: Path) -> Study:
    return finished(module_folder / "run")


@pytest.fixture(scope="module")
def summary(study) -> Summary:
    return summarise(study)


def headings(summary: Summary) -> list[str]:
    return [block.text for block in document(summary) if isinstance(block, Heading)]


def table_below(summary: Summary, heading: str) -> Table:
    blocks = list(document(summary))
    found = blocks[blocks.index(Heading(heading)) + 1]
    assert isinstance(found, Table)
    return found


def texts(summary: Summary) -> list[str]:
    return [block.text for block in document(summary) if isinstance(block, Paragraph)]


def verdict(**fields) -> Verdict:
    given = {"word": "gain", "against": "parent sums", "gain": 0.03, "interval": (0.004, 0.058)}
    return Verdict(7, "", **{**given, "detectable": 0.05, "items": 500, **fields})


def test_a_gain_is_the_first_thing_said():
    assert headline(Evidence("sums", (verdict(),))) == (
        "Gain: trial 7 beats the base and every parent: +.030 over parent sums, "
        "95 % interval [+.004, +.058], on 500 held-out items."
    )


def test_no_gain_is_said_with_what_could_have_been_found():
    said = headline(Evidence("sums", (verdict(word="no significant gain", gain=0.01),)))
    assert said.startswith("No significant gain: trial 7: +.010 over parent sums, ")
    assert said.endswith("A true gain of .050 would be found four times in five.")


def test_a_loss_is_said():
    said = headline(Evidence("sums", (verdict(word="worse", gain=-0.03),)))
    assert said.startswith("Worse: trial 7 is worse than a model it was made from: -.030 over")


def test_of_several_finalists_the_winner_is_spoken_of():
    others = (verdict(word="no significant gain", gain=0.09), verdict())
    assert headline(Evidence("sums", others)).startswith("Gain: trial 7")


def test_without_a_verdict_its_reason_is_given():
    few = verdict(word="too few items for a verdict", gain=None, notes=("9 items, 20 are needed",))
    assert headline(Evidence("sums", (few,))) == (
        "Too few items for a verdict: 9 items, 20 are needed"
    )
    assert sentence(few) == "too few items for a verdict: 9 items, 20 are needed"


def test_what_limits_a_verdict_is_said_in_the_same_breath():
    missed = verdict(notes=("on the holdout its prose is 3.4, which violates the constraint",))
    said = headline(Evidence("sums", (missed,), ("parent words was not scored on the holdout",)))
    assert said.endswith(
        "held-out items. But on the holdout its prose is 3.4, which violates the constraint. "
        "But parent words was not scored on the holdout."
    )


def test_scaled_gains_name_their_unit():
    said = headline(Evidence("the mean of a, b, each scaled by the span", (verdict(),)))
    assert said.endswith("Gains are in the mean of a, b, each scaled by the span.")


def test_the_report_begins_with_the_verdict_and_has_every_part(summary):
    first = next(iter(document(summary)))
    assert first == Paragraph(summary.headline)
    best = summary.best
    assert best is not None
    assert headings(summary) == [
        "On the holdout",
        "Baselines",
        "Best",
        f"Best recipe (trial {best.number})",
        "What mattered",
        "Failures",
        "Time",
        "Run",
    ]


def test_without_a_holdout_the_first_line_says_so(tmp_path):
    book = Book(tmp_path / "run")
    book.add(BASELINES, book.answers(0.4, 0.4), label="base")
    book.search(3)
    assert texts(summarise(book.study))[0].startswith("No holdout: ")


def test_a_holdout_that_was_not_opened_is_the_first_thing_said(tmp_path):
    book = Book(tmp_path / "run", holdout={"sums": {}})
    book.search(3)
    assert summarise(book.study).headline.startswith("The holdout is not opened yet")


def test_a_run_without_trials_has_a_report(tmp_path):
    summary = summarise(Book(tmp_path / "run").study)
    assert "No trial is feasible: none has scores and meets all." in texts(summary)
    assert dict(table_below(summary, "Run").rows)["trials"] == "none yet"


def test_baselines_stand_with_their_scores_and_those_held_out(summary):
    table = table_below(summary, "Baselines")
    assert table.headings == (
        "trial",
        "what",
        "sums",
        "words",
        "sums + words",
        "sums, held out",
        "words, held out",
    )
    assert [row[1] for row in table.rows] == ["base", "parent sums", "parent words"]
    assert all(all(row) for row in table.rows)


def test_what_mattered_and_what_failed_is_told(summary, study):
    (failure,) = [trial for trial in study.trials if trial.failure]
    assert table_below(summary, "What mattered").rows[0][0] == "weight"
    assert table_below(summary, "Failures").rows == (
        ("1", "error", "trial.py: no luck", str(failure.number)),
    )


def test_few_trials_have_no_importances_and_that_is_said(tmp_path):
    summary = summarise(finished(tmp_path / "run", trials=12))
    assert summary.importances == {}
    assert "Too few for importances: 11 scored trials, at least 30 are needed." in texts(summary)


def test_the_recipe_of_the_best_can_be_copied(summary):
    (code,) = [block for block in document(summary) if isinstance(block, Code)]
    assert "merge_method: ties" in code.text


def test_the_overhead_of_a_trial_is_told(summary):
    assert any("takes 20 ms a trial" in text for text in texts(summary))


def test_where_objectives_stay_apart_there_is_a_front(tmp_path):
    summary = summarise(finished(tmp_path / "run", trials=12, objectives=["sums", "words"]))
    shown = [int(row[0]) for row in table_below(summary, "Front").rows]
    assert shown == [trial.number for trial in summary.front]
    losses = [summary.goals.losses(trial.scores) for trial in summary.front]
    assert losses == sorted(losses)


def test_the_simplified_winner_stands_beside_the_best(tmp_path):
    study = finished(tmp_path / "run", trials=12)
    best = summarise(study).best
    assert best is not None
    number = len(study.trials)
    step = type(best)(
        number, SIMPLIFICATION, best.recipe, scores=best.scores, subject=best.number, point={"w": 1}
    )
    study.append(step, study.tables(best.number))
    summary = summarise(study)
    assert [row[0] for row in table_below(summary, "Best").rows] == [str(best.number), str(number)]
    assert f"Simplified recipe (trial {number})" in headings(summary)


def test_benchmarks_are_warned_of_wherever_they_were_allowed(tmp_path):
    quiet = summarise(Book(tmp_path / "own", evaluators={"sums": {"task": "sums"}}).study)
    assert quiet.warnings == ()
    allowed = summarise(Book(tmp_path / "allowed", allow_benchmarks=True).study)
    named = summarise(
        Book(tmp_path / "named", evaluators={"sums": {"task": ["sums", "gsm8k"]}}).study
    )
    assert "commonly reported benchmarks" in allowed.warnings[0]
    assert named.warnings[0].startswith("the search chose by gsm8k, whose scores are commonly")
    assert texts(named)[1].startswith("Warning: the search chose by gsm8k")


def test_a_report_needs_neither_torch_nor_models():
    import subprocess
    import sys

    program = (
        "import sys, evomerge.report.document, evomerge.report.summary, evomerge.report.closing\n"
        "sys.exit(bool({'torch', 'transformers', 'numba', 'plotly'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
