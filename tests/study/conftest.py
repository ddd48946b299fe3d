"""A run folder with a few trials in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from evomerge.study import Study
from tests.study.strategies import CONFIG, ENVIRONMENT, a_table, a_trial, header


def create(run: Path) -> Study:
    return Study.create(run, header(), config=CONFIG, environment=ENVIRONMENT)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run folder with three trials, nobody writing it."""
    with create(tmp_path / "run") as study:
        for number in range(3):
            study.append(a_trial(number), [a_table(number)])
    return tmp_path / "run"
