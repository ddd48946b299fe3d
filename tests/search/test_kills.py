"""A search that is killed, at whatever moment, and resumed is the search that was never killed."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

from tests.search.killing import after, at_file, at_lines, at_random, history, kill_and_resume
from tests.search.tiny_runs import OPTIMIZERS, config, family

PROGRAM = [sys.executable, "-c", "from evomerge.cli.main import main; main()"]
# Trials that a search of `config` makes before the last ones, its baselines included.
LINES = 18


@pytest.fixture(scope="module")
def models(module_folder: Path):
    return family(module_folder / "models")


def run_through(path: Path) -> Path:
    run = path.parent / "run"
    assert kill_and_resume(begin(path), resume(run), run, []) == 0
    return run


def begin(path: Path) -> list[str]:
    return [*PROGRAM, "search", str(path), "--quiet"]


def resume(run: Path) -> list[str]:
    return [*PROGRAM, "resume", str(run), "--quiet"]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_killed_search_loses_nothing(tmp_path: Path, models, optimizer: str):
    chance = random.Random(optimizer)
    whole = run_through(config(tmp_path / "whole", models, optimizer))
    path = config(tmp_path / "killed", models, optimizer)
    moment = at_lines(chance.randrange(8, LINES), chance.uniform(0, 0.1))
    run = path.parent / "run"
    assert kill_and_resume(begin(path), resume(run), run, [moment]) == 1
    assert history(run) == history(whole)


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_search_that_is_killed_over_and_over_loses_nothing(
    tmp_path: Path, models, optimizer: str
):
    chance = random.Random(optimizer)
    whole = run_through(config(tmp_path / "whole", models, optimizer))
    path = config(tmp_path / "killed", models, optimizer)
    run = path.parent / "run"
    moments = [after(2), *at_random(chance, 3, LINES, 0.1), at_file("items/000017.json")]
    assert kill_and_resume(begin(path), resume(run), run, moments) >= 4
    assert history(run) == history(whole)
