"""Promises of progress: a bar on a terminal, and nothing anywhere else."""

from __future__ import annotations

import pytest

from evomerge.cli.progress import progress_bar, stage_bar
from tests.cli.bad_input import ties


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("FORCE_COLOR", "1")


def test_nothing_is_shown_where_nobody_watches(capsys):
    with progress_bar("merging", 10) as advance, stage_bar("training") as show:
        assert advance is show is None
    assert capsys.readouterr().err == ""


def test_a_bar_advances(terminal, capsys):
    with progress_bar("merging", 10) as advance:
        assert advance is not None
        advance(10)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "merging" in shown.err
    assert "100%" in shown.err


def test_a_bar_names_the_stage(terminal, capsys):
    with stage_bar("training") as show:
        assert show is not None
        show("base", 0.5)
        show("sums", 1.0)
    assert "training: sums" in capsys.readouterr().err


def test_a_merge_on_a_terminal_has_a_bar_and_its_result_stays_apart(terminal, work, evomerge):
    ties()
    code, out, err = evomerge("merge", "recipe.yaml", "merged")
    assert (code, out) == (0, "merged: ties, 21 tensors, 16.6 KB\n")
    assert "merging ties" in err
