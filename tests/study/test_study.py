"""A study gives back what was recorded, bit for bit."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings

from evomerge.errors import StudyError
from evomerge.goals import Bound, Goals
from evomerge.study import Header, Study
from evomerge.trial import Failure
from tests.study.ordinary import CONFIG, COVERS, ENVIRONMENT, a_table, a_trial, create
from tests.study.strategies import studies


@settings(max_examples=12)  # each flushes files to the disk
@given(studies())
def test_whatever_is_appended_is_read_back(recorded):
    with TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        with create(run) as study:
            for trial, tables in recorded:
                study.append(trial, tables)
            in_memory = study.trials
        study = Study.open(run)
        assert list(study.trials) == [trial for trial, _ in recorded]
        assert repr(study.trials) == repr(in_memory)  # -0.0 and 0.0, 1 and 1.0 differ here
        for trial, tables in recorded:
            assert repr(study.tables(trial.number)) == repr(tables)
            assert study.tables(trial.number) == tables


@settings(max_examples=12)  # each flushes files to the disk
@given(studies(), studies())
def test_a_study_goes_on_where_it_ended(before, after):
    recorded = before + [
        (a_trial(len(before) + number, recipe=dict(trial.recipe)), tables)
        for number, (trial, tables) in enumerate(after)
    ]
    with TemporaryDirectory() as folder:
        at_once, in_two = Path(folder) / "once", Path(folder) / "two"
        with create(at_once) as study:
            for trial, tables in recorded:
                study.append(trial, tables)
        in_two.mkdir()
        with create(in_two) as study:
            for trial, tables in recorded[: len(before)]:
                study.append(trial, tables)
        with Study.open(in_two, write=True) as study:
            for trial, tables in recorded[len(before) :]:
                study.append(trial, tables)
        assert Study.open(in_two).trials == Study.open(at_once).trials


def test_floats_come_back_to_the_last_bit(tmp_path):
    awkward = (0.1, 1 / 3, 5e-324, 1.7976931348623157e308, -0.0, 2**53 + 0.0)
    with create(tmp_path / "run") as study:
        study.append(a_trial(0, point={str(value): value for value in awkward}))
    (trial,) = Study.open(tmp_path / "run").trials
    assert [value.hex() for value in trial.point.values()] == [value.hex() for value in awkward]


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_a_number_that_is_none_is_refused_and_named(run, number):
    before = contents(run)
    with Study.open(run, write=True) as study:
        bad_score = a_trial(3, seconds={"merge": number})
        with pytest.raises(StudyError, match=rf"trial 3: seconds: merge: found {number}; only"):
            study.append(bad_score)
        table = a_table(3)
        bad_item = type(table)(**{**vars(table), "contributions": {7: (1.0, number)}})
        place = r"trial 3: sums\.sums\.acc: contributions: 7\[1\]"
        with pytest.raises(StudyError, match=rf"{place}: found {number}; only"):
            study.append(a_trial(3), [bad_item])
    assert contents(run) == before


def test_a_line_says_what_is_particular_about_its_trial(run):
    lines = (run / "study.jsonl").read_text().splitlines()
    assert [json.loads(line)["kind"] for line in lines] == ["header", "trial", "trial", "trial"]
    second = json.loads(lines[2])
    assert len(second.pop("chain")) == len(second.pop("items")) == 32
    assert second == {
        "kind": "trial",
        "number": 1,
        "stage": "search",
        "recipe": {
            "merge_method": "linear",
            "models": [{"model": "sums", "parameters": {"weight": 1 / 7}}],
        },
        "point": {"models[sums].parameters.weight": 1 / 7},
        "scores": {"sums": {"value": 1 / 3, "higher_is_better": True, "items": 3}},
        "seconds": {"ask": 0.01, "merge": 0.1},
    }


def test_the_run_folder_holds_what_the_run_began_with(run):
    study = Study.open(run)
    assert sorted(path.name for path in run.iterdir()) == [
        "config.yaml", "environment.json", "front", "items", "lock", "study.jsonl",
    ]  # fmt: skip
    assert sorted(path.name for path in (run / "items").iterdir()) == [
        "000000.json", "000001.json", "000002.json",
    ]  # fmt: skip
    assert (run / "config.yaml").read_text() == CONFIG
    assert study.config == {"run": "runs/quickstart", "seed": 7}
    assert study.environment == ENVIRONMENT
    assert study.header.covers == COVERS
    assert (study.header.seed, study.header.lookahead) == (7, 1)
    assert study.goals == Goals({"sums": 1.0}, bounds=(Bound("prose", most=3.2),))


def test_a_recalled_trial_shows_the_items_of_the_trial_it_repeats(run):
    with Study.open(run, write=True) as study:
        study.append(a_trial(3, recalled=1))
        study.append(a_trial(4, recalled=3))
        study.append(a_trial(5, scores={}, failure=Failure("error", "it broke")))
    study = Study.open(run)
    assert study.tables(3) == study.tables(4) == study.tables(1) == (a_table(1),)
    assert study.tables(5) == ()


def test_trials_are_found_by_number_and_stage(run):
    with Study.open(run, write=True) as study:
        study.append(a_trial(3, stage="holdout", subject=2))
        assert study.find(3).subject == 2
        assert [trial.number for trial in study.stage("search")] == [0, 1, 2]
        assert [trial.number for trial in study.stage("holdout")] == [3]
        assert study.stage("baselines") == []


@pytest.mark.parametrize("number", [-1, 3])
def test_a_number_without_a_trial_is_refused(run, number):
    with pytest.raises(StudyError, match=f"has no trial {number}; it has trials 0 to 2"):
        Study.open(run).find(number)


def test_a_study_without_trials_says_so(tmp_path):
    with create(tmp_path / "run") as study, pytest.raises(StudyError, match="no trials yet"):
        study.find(0)


def test_trials_are_appended_in_order_or_not_at_all(run):
    with Study.open(run, write=True) as study:
        for wrong in (a_trial(2), a_trial(4), a_trial(3, recalled=3)):
            with pytest.raises(ValueError, match="trial"):
                study.append(wrong)
        assert len(study.trials) == 3


def test_only_a_study_opened_for_writing_is_written(run):
    study = Study.open(run, write=True)
    study.close()
    study.close()
    for closed in (study, Study.open(run)):
        with pytest.raises(ValueError, match="not open for writing"):
            closed.append(a_trial(3))
        with pytest.raises(ValueError, match="not open for writing"):
            closed.write_front({})


def test_what_a_caller_changes_later_does_not_change_what_was_recorded(tmp_path):
    recipe = {"models": [1, 2]}
    with create(tmp_path / "run") as study:
        study.append(a_trial(0, recipe=recipe))
        recipe["models"].append(3)
        assert study.trials[0].recipe == {"models": [1, 2]}


def test_the_front_holds_the_recipes_of_now(run):
    with Study.open(run, write=True) as study:
        study.write_front({"000000.yaml": "a: 1\n", "000002.yaml": "b: 2\n"})
        study.write_front({"000002.yaml": "b: 2\n"})
    assert {file.name: file.read_text() for file in (run / "front").iterdir()} == {
        "000002.yaml": "b: 2\n"
    }


def test_equal_covers_have_equal_digests():
    again = {**COVERS, "seed": 7.0}
    assert Header.make(COVERS).digest == Header.make(again).digest
    other = {**COVERS, "seed": 8}
    assert Header.make(COVERS).digest != Header.make(other).digest


def test_opening_a_study_loads_no_slow_library(run):
    program = (
        "import sys\n"
        "from evomerge.study import Study\n"
        f"Study.open({str(run)!r}).tables(1)\n"
        "print(*{name.partition('.')[0] for name in sys.modules})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert set(done.stdout.split()).isdisjoint(
        {"torch", "numpy", "pydantic", "transformers", "ml_dtypes", "numba"}
    )


def contents(folder: Path) -> dict[str, bytes]:
    """Every file under ``folder``, but the lock."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "lock"
    }
