"""The harness that kills searches: it kills, and it notices what is lost."""

from __future__ import annotations

import random
import sys

import pytest

from evomerge.study import Study
from tests.search.killing import (
    after,
    at_file,
    at_lines,
    at_output,
    at_random,
    check_kept,
    history,
    kill_and_resume,
    ledger,
)
from tests.study.ordinary import a_table, a_trial, create

TRIALS = 60


def words(run, trials=TRIALS):
    return [sys.executable, "-m", "tests.study.child", str(run), str(trials)]


@pytest.fixture
def uninterrupted(tmp_path):
    run = tmp_path / "uninterrupted"
    assert kill_and_resume(words(run), words(run), run, []) == 0
    return history(run)


def test_a_run_that_is_killed_has_the_history_of_one_that_is_not(tmp_path, uninterrupted):
    run = tmp_path / "run"
    moments = [
        at_output("ready"),
        at_file("items/000004.json"),
        at_lines(12),
        *at_random(random.Random(0), kills=3, lines=TRIALS // 2, pause=0.001),
    ]
    assert kill_and_resume(words(run), words(run), run, moments) == len(moments)
    assert history(run) == uninterrupted
    assert len(uninterrupted) == TRIALS


def test_a_moment_that_never_comes_lets_the_run_end(tmp_path, uninterrupted):
    run = tmp_path / "run"
    moments = [at_lines(10), at_lines(TRIALS + 2), after(0.0)]
    assert kill_and_resume(words(run), words(run), run, moments) == 1
    assert history(run) == uninterrupted


def test_a_run_that_fails_is_no_run(tmp_path):
    run = tmp_path / "run"
    with pytest.raises(AssertionError, match="invalid literal"):
        kill_and_resume(words(run, "many"), words(run), run, [])


def test_seconds_and_attempts_do_not_count_and_scores_do(tmp_path):
    for name, fields in {
        "one": {},
        "slower": {"seconds": {"ask": 9.0}, "attempts": 2},
        "other": {"scores": {}},
    }.items():
        with create(tmp_path / name) as study:
            study.append(a_trial(0, **fields), [a_table(0)])
    assert history(tmp_path / "one") == history(tmp_path / "slower")
    assert history(tmp_path / "one") != history(tmp_path / "other")


def test_a_lost_line_is_noticed(tmp_path):
    with create(tmp_path / "run") as study:
        study.append(a_trial(0))
        study.append(a_trial(1))
    before = check_kept(tmp_path / "run", b"")
    shorter = ledger(tmp_path / "run").splitlines(keepends=True)[:-1]
    (tmp_path / "run" / "study.jsonl").write_bytes(b"".join(shorter))
    assert len(Study.open(tmp_path / "run").trials) == 1
    with pytest.raises(AssertionError, match="changed or lost"):
        check_kept(tmp_path / "run", before)
