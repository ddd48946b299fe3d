"""Promises of ``evomerge zoo``."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from evomerge.zoo import Budget

# Everything is made as in earnest, but nothing is learnt.
MINIATURE = Budget(
    base_steps=1, expert_steps=1, adapter_steps=1, bare_steps=1, rows=2, competence=0.0
)


@pytest.fixture(scope="module")
def shared(module_folder) -> Path:
    return module_folder


@pytest.fixture
def miniature(monkeypatch):
    monkeypatch.setattr("evomerge.zoo.building.Budget", lambda: MINIATURE)


def test_a_zoo_is_made_once_and_listed(shared, miniature, evomerge, monkeypatch):
    monkeypatch.chdir(shared)
    code, first, err = evomerge("zoo", "zoo")
    assert (code, err) == (0, "")
    folders = [line.split()[0] for line in first.splitlines()[1:]]
    assert folders[0] == "zoo/base"
    assert all(Path(folder).is_dir() for folder in folders)
    made = {path: path.stat().st_mtime_ns for path in Path("zoo").rglob("*")}
    assert evomerge("zoo", "zoo") == (0, first, "")
    assert {path: path.stat().st_mtime_ns for path in Path("zoo").rglob("*")} == made
    for model in ("zoo/base", "zoo/base+zoo/adapters/sums"):
        assert evomerge("inspect", model)[0] == 0


def test_another_seed_needs_another_folder(shared, miniature, evomerge, monkeypatch):
    monkeypatch.chdir(shared)
    code, _, err = evomerge("zoo", "zoo", "--seed", "7")
    assert code == 2
    assert err.startswith("error: zoo: holds a zoo of seed 0, but 7 was asked for")


def test_a_folder_of_something_else_is_left_alone(tmp_path, evomerge):
    (tmp_path / "notes.txt").write_text("keep me\n")
    code, _, err = evomerge("zoo", tmp_path)
    assert code == 2
    assert err.startswith(f"error: {tmp_path}: exists and is not a zoo")
    assert os.listdir(tmp_path) == ["notes.txt"]
