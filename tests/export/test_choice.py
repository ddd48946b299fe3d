"""Promises of which trials leave a study."""

from __future__ import annotations

from pathlib import Path

import pytest

from evomerge.errors import SearchError, StudyError
from evomerge.evidence import best_of
from evomerge.export.choice import Choice, chosen
from evomerge.front import front
from evomerge.study import Study
from evomerge.trial import BASELINES, SEARCH, SIMPLIFICATION
from tests.report.studies import Book, finished


def numbers(study: Study, **asked) -> list[int]:
    return [trial.number for trial in chosen(study, Choice(**asked))]


@pytest.fixture(scope="module")
def study(module_folder: Path) -> Study:
    return finished(module_folder / "run", trials=12)


def test_nothing_asked_for_is_the_best(study):
    totals = {t.number: sum(s.value for s in t.scores.values()) for t in study.stage(SEARCH)}
    assert numbers(study) == [max(totals, key=lambda number: totals[number])]


def test_a_trial_is_taken_by_its_number(study):
    assert numbers(study, number=1) == [1]


def test_a_trial_that_does_not_exist_is_refused(study):
    with pytest.raises(StudyError, match=r"has no trial 99; it has trials 0 to"):
        chosen(study, Choice(number=99))


def test_without_a_simplified_winner_that_is_said(study):
    with pytest.raises(StudyError, match="has no simplified winner; leave out --simplified"):
        chosen(study, Choice(simplified=True))


def test_the_front_is_that_of_baselines_and_search(tmp_path):
    study = finished(tmp_path / "run", trials=12, objectives=["sums", "words"])
    scored = [t for t in study.trials if t.stage in (BASELINES, SEARCH) and t.scores]
    losses = [[-t.scores["sums"].value, -t.scores["words"].value] for t in scored]
    assert numbers(study, front=True) == [scored[index].number for index in front(losses)]


@pytest.mark.parametrize("how", [{}, {"front": True}, {"simplified": True}])
def test_where_nothing_is_feasible_nothing_leaves(how, tmp_path):
    book = Book(tmp_path / "run", constraints={"sums": {"min": 0.9}})
    book.search(3)
    with pytest.raises(SearchError, match="none of 3 trials has all scores and meets all"):
        chosen(book.study, Choice(**how))


def test_the_simplified_winner_is_the_last_step_that_lost_nothing(tmp_path):
    book = Book(tmp_path / "run")
    book.add(BASELINES, book.answers(0.4, 0.4), label="base")
    best = book.add(answers=book.answers(0.7, 0.7), point={"weight": 0.9})
    same = book.add(
        SIMPLIFICATION, book.answers(0.7, 0.7), point={"weight": 1.0}, subject=best.number
    )
    book.add(SIMPLIFICATION, book.answers(0.2, 0.2), point={"weight": 0.0}, subject=best.number)
    assert best_of(book.study) == best
    assert numbers(book.study, simplified=True) == [same.number]
