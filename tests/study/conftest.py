"""A run folder with a few trials in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.study.ordinary import a_table, a_trial, create


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run folder with three trials, nobody writing it."""
    with create(tmp_path / "run") as study:
        for number in range(3):
            study.append(a_trial(number), [a_table(number)])
    return tmp_path / "run"
