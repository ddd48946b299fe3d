"""A chain that is killed in any stage, or between two, and resumed is one that was never killed."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.chain.chains import blend, config, stack
from tests.search.killing import at_lines, history, started

PROGRAM = [sys.executable, "-c", "from evomerge.cli.main import main; main()"]
STAGES = {
    "blend": blend("words", "sums", baselines="none", budget={"trials": 3}),
    "stack": stack("blend", "words", layers=2, baselines="none", budget={"trials": 3}, finalists=1),
}
# Where a chain is when it dies: just before which call of which function.
MOMENTS = {
    "in the first stage": "evomerge.study.study.Study.append:2",
    "with a model all but written": "evomerge.checkpoint.writer.FolderWriter.commit:1",
    "with a model in its place": "evomerge.chain.winners.sync_folder:2",
    "before the second stage": "evomerge.session.begin:2",
    "in the second stage": "evomerge.study.study.Study.append:5",
}
MORE_MOMENTS = {
    "before the first stage": "evomerge.session.begin:1",
    "after the last trial of the first stage": "evomerge.chain.running.entering:1",
    "with a model not yet in its place": "evomerge.chain.winners.sync_folder:1",
    "with a second stage that has no ledger": "evomerge.study.study.fill:2",
    "with the holdout opened": "evomerge.study.study.Study.append:7",
}


def killed(folder: Path, models, moments) -> Path:
    """The folder of a chain that ran whole, and of those that were killed."""
    path = config(folder, models, STAGES)
    words = [sys.executable, "-m", "tests.chain.dying", str(path), *moments.values()]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def runs(module_folder: Path, models) -> Path:
    return killed(module_folder / "few", models, MOMENTS)


@pytest.fixture(scope="module")
def more_runs(module_folder: Path, models) -> Path:
    return killed(module_folder / "more", models, MORE_MOMENTS)


def recorded(run: Path):
    models = {path.name: (path / "model.safetensors").read_bytes() for path in models_in(run)}
    return [history(run / name) for name in ("1-blend", "2-stack")], models


def models_in(run: Path) -> list[Path]:
    return sorted((run / "models").iterdir())


def check(runs: Path, call: str) -> None:
    found = recorded(runs / call)
    assert found == recorded(runs / "whole")
    stages = [trial.stage for trial, _ in found[0][1]]
    assert list(dict.fromkeys(stages)) == ["search", "holdout"]


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_chain_that_is_killed_loses_nothing(runs, moment):
    check(runs, MOMENTS[moment])


@pytest.mark.slow
@pytest.mark.parametrize("moment", MORE_MOMENTS)
def test_a_chain_that_is_killed_at_any_other_moment_loses_nothing(more_runs, moment):
    check(more_runs, MORE_MOMENTS[moment])


@pytest.mark.slow
def test_ctrl_c_says_how_the_chain_goes_on(tmp_path, models):
    path = config(tmp_path, models, STAGES)
    run = tmp_path / "run"
    with started([*PROGRAM, "search", str(path), "--quiet"], run / "1-blend") as running:
        assert at_lines(2)(running)
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(60) == 130
        last = running.output().splitlines()[-1]
    assert last.endswith(f"every trial that ended is recorded; go on with: evomerge resume {run}")
