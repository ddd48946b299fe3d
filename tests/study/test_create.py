"""A run begins in a place of its own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from evomerge.errors import OutputError, SearchError, StudyError
from evomerge.study import Header, Study, folder
from tests.study.ordinary import CONFIG, COVERS, a_trial, create, header


def test_a_run_that_exists_is_refused_and_resume_named(run):
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    told = f"{run}: holds a run already; to go on with it: evomerge resume {run}; to begin"
    with pytest.raises(SearchError, match=re.escape(told)):
        create(run)
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_an_empty_folder_is_taken(tmp_path):
    with create(tmp_path) as study:
        study.append(a_trial(0))


def test_parents_are_made(tmp_path):
    create(tmp_path / "a" / "b" / "c").close()
    assert Study.open(tmp_path / "a" / "b" / "c").trials == ()


def test_a_relative_place_is_one_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    create(Path("run")).close()
    assert Study.open("run").trials == ()


@pytest.mark.parametrize("name", ["notes.txt", "config.yaml", "items/000000.json", "front/a.yaml"])
def test_a_folder_with_something_else_in_it_is_refused_and_left_alone(tmp_path, name):
    """Even with a config.yaml: it may be the one that the run is to be made from."""
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")
    with pytest.raises(OutputError, match=r"is not a run \(it has no study\.jsonl\) and not empty"):
        create(tmp_path)
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()] == [
        name
    ]


@pytest.mark.parametrize("name", ["notes.txt", "items/000000.json"])
def test_what_a_killed_creation_cannot_have_left_is_refused(tmp_path, name):
    (tmp_path / "lock").touch()
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")
    with pytest.raises(OutputError, match=re.escape(f"(it has {name})")):
        create(tmp_path)
    assert (tmp_path / name).read_text() == "mine"


def test_a_file_is_refused(tmp_path):
    (tmp_path / "run").write_text("mine")
    with pytest.raises(OutputError, match="run: is a file; name a folder for the run"):
        create(tmp_path / "run")
    with pytest.raises(OutputError, match="cannot be written: Not a directory"):
        create(tmp_path / "run" / "below")


def test_of_two_creations_the_slower_is_refused_and_harms_nothing(tmp_path, monkeypatch):
    """The faster one begins and ends between the slower one's look and its lock."""
    run, make_lock = tmp_path / "run", folder.RunLock

    def slow(place: Path) -> folder.RunLock:
        monkeypatch.undo()
        with create(place) as study:
            study.append(a_trial(0))
        return make_lock(place)

    monkeypatch.setattr(folder, "RunLock", slow)
    with pytest.raises(SearchError, match="holds a run already"):
        create(run)
    assert Study.open(run).trials == (a_trial(0),)
    Study.open(run, write=True).close()


def test_an_environment_that_is_no_json_leaves_nothing(tmp_path):
    with pytest.raises(TypeError):
        Study.create(tmp_path / "run", header(), config=CONFIG, environment={"when": object()})
    assert list(tmp_path.iterdir()) == []


def test_a_header_with_infinity_is_refused_and_the_place_named():
    covers = {**COVERS, "constraints": {"prose": {"max": float("inf")}}}
    told = "config: constraints: prose: max: found inf; only finite"
    with pytest.raises(StudyError, match=told):
        Header.make(covers)
