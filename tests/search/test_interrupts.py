"""Ctrl-C ends a search between two batches of items, and says how it goes on."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.search.killing import at_lines, history, kill_and_resume, started
from tests.search.test_kills import begin, resume
from tests.search.tiny_runs import config, family


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_search_says_how_it_goes_on_and_loses_nothing(tmp_path: Path, sign):
    models = family(tmp_path / "models")
    path = config(tmp_path / "stopped", models)
    run = path.parent / "run"
    with started(begin(path), run) as running:
        assert at_lines(5)(running)
        os.kill(running.process.pid, sign)
        assert running.process.wait(60) == 130
        last = running.output().splitlines()[-1]
    assert last.endswith(f"every trial that ended is recorded; go on with: evomerge resume {run}")
    kill_and_resume(begin(path), resume(run), run, [])
    whole = config(tmp_path / "whole", models)
    kill_and_resume(begin(whole), resume(whole.parent / "run"), whole.parent / "run", [])
    assert history(run) == history(whole.parent / "run")
