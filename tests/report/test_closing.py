"""Promises of the last words of a search."""

from __future__ import annotations

from evomerge.evidence import best_of
from evomerge.export import write_winners
from evomerge.report.closing import closing_statement
from evomerge.report.summary import summarise
from evomerge.report.words import scores
from tests.report.studies import Book, finished


def test_they_begin_with_the_verdict_and_end_with_what_to_do(tmp_path):
    study = finished(tmp_path / "run", trials=12)
    write_winners(study)
    lines = closing_statement(study).splitlines()
    assert lines[0] == summarise(study).headline
    best = best_of(study)
    told = scores(best.scores, ["sums", "words"])
    assert f"best      {told}  (trial {best.number})" in lines
    assert f"{study.run / 'best.yaml'}: the best recipe" in lines
    assert lines[-3:] == [
        "Next:",
        f"  evomerge report {study.run}",
        f"  evomerge merge {study.run / 'best.yaml'} MODEL",
    ]
    assert "searched  12 trials, 1 failed" in lines


def test_the_best_stands_against_the_best_baseline(tmp_path):
    study = finished(tmp_path / "run", trials=12)
    (line,) = [x for x in closing_statement(study).splitlines() if x.startswith("baseline")]
    assert line.endswith("(trial 1: parent sums)")


def test_where_objectives_stay_apart_the_front_is_named(tmp_path):
    study = finished(tmp_path / "run", trials=12, objectives=["sums", "words"])
    assert "front: the recipes" not in closing_statement(study)
    write_winners(study)
    said = closing_statement(study)
    assert f"{study.run / 'front'}: the recipes of the front\n" in said
    assert "(the best of each)" in said


def test_recipes_that_were_not_written_are_exported_next(tmp_path):
    study = finished(tmp_path / "run", trials=12)
    assert f"  evomerge export {study.run} best.yaml\n" in closing_statement(study)


def test_a_search_without_a_feasible_trial_says_so(tmp_path):
    book = Book(tmp_path / "run", constraints={"sums": {"min": 0.9}})
    book.search(3)
    run = book.study.run
    said = closing_statement(book.study)
    assert said.startswith("No holdout: ")
    last = f"No trial has all scores and meets all constraints; see: evomerge report {run}"
    assert said.endswith(f"{last}\n")


def test_benchmarks_are_warned_of(tmp_path):
    book = Book(tmp_path / "run", allow_benchmarks=True)
    assert "\nWarning: the config allows to search on commonly" in closing_statement(book.study)
