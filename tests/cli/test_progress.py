"""Promises of progress: a bar on a terminal, and nothing anywhere else."""

from __future__ import annotations

from evomerge.cli.progress import progress_bar, stage_bar
from tests.cli.bad_input import ties


def test_nothing_is_shown_where_nobody_watches(capsys):
    with progress_bar("merging", 10) as advance, stage_bar("training") as show:
        assert advance is show is None
    assert capsys.readouterr().err == ""


def test_a_bar_advances(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with progress_bar("merging", 10) as advance:
        assert advance is not None
        advance(10)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "merging" in shown.err
    assert "100%" in shown.err


def test_a_bar_names_the_stage(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with stage_bar("training") as show:
        assert show is not None
        show("base", 0.5)
        show("sums", 1.0)
    assert "training: sums" in capsys.readouterr().err


def test_a_merge_on_a_terminal_has_a_bar_and_its_result_stays_apart(work, evomerge, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    ties()
    code, out, err = evomerge("merge", "recipe.yaml", "merged")
    assert (code, out) == (0, "merged: ties, 21 tensors, 16.6 KB\n")
    assert "merging ties" in err
