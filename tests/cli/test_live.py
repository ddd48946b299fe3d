"""Promises of the view of a running search."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from evomerge.cli.live import Lines, Progress, line, panel, rows, watching
from evomerge.goals import Bound, Goals
from evomerge.trial import SEARCH
from tests.report.trials import APART, ONE, SUMMED, baseline, failed, trial


class Clock:
    """Time that passes when told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def run(progress: Progress, clock: Clock, one, seconds: float = 2.0) -> str:
    """One trial from beginning to end, and its line."""
    progress.began(one.stage, one.number)
    clock.now += seconds
    taken = progress.ended(one)
    assert taken == pytest.approx(seconds)
    return line(progress, one, taken)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_line_tells_the_trial_the_best_and_the_time(clock):
    progress = Progress(SUMMED, 200, clock=clock)
    first = run(progress, clock, baseline(0, "base", sums=0.4, words=0.2))
    assert first == "baselines 1  sums .400  words .200  base  2.0 s"
    run(progress, clock, trial(1, values={"sums": 0.6, "words": 0.6}))
    second = run(progress, clock, trial(2, values={"sums": 0.612, "words": 0.48}), 3.1)
    assert second == "search 2/200  sums .612  words .480  best .900 (trial 1)  3.1 s"


def test_where_objectives_stay_apart_a_line_tells_the_size_of_the_front(clock):
    progress = Progress(APART, None, clock=clock)
    run(progress, clock, trial(0, values={"sums": 0.6, "words": 0.1}))
    text = run(progress, clock, trial(1, values={"sums": 0.1, "words": 0.6}))
    assert text == "search 2  sums .100  words .600  front 2  2.0 s"


def test_a_failure_is_a_line_too(clock):
    text = run(Progress(ONE, 5, clock=clock), clock, failed(0, "the model is all zeros"))
    assert text == "search 1/5  failed: the model is all zeros  2.0 s"


def test_a_line_says_by_how_much_constraints_are_missed(clock):
    goals = Goals({"sums": 1.0}, bounds=(Bound("prose", most=3.0),))
    one = trial(0, values={"sums": 0.6, "prose": 3.25})
    text = run(Progress(goals, 5, clock=clock), clock, one)
    assert text == "search 1/5  sums .600  prose 3.250  misses the constraints by .250  2.0 s"


def test_the_time_left_follows_from_the_trials_of_the_search(clock):
    progress = Progress(ONE, 10, clock=clock)
    run(progress, clock, baseline(0, "base", sums=0.4), 60.0)
    assert progress.left is None
    run(progress, clock, trial(1, values={"sums": 0.5}), 2.0)
    run(progress, clock, trial(2, values={"sums": 0.5}), 4.0)
    assert progress.seconds == 3.0
    assert progress.left == 8 * 3.0


def test_trials_recorded_earlier_count_but_take_no_time(clock):
    progress = Progress(ONE, 10, clock=clock)
    assert progress.ended(trial(0, values={"sums": 0.5})) is None
    assert progress.seconds is None
    run(progress, clock, trial(1, values={"sums": 0.4}), 2.0)
    assert progress.left == 8 * 2.0
    assert progress.place() == "search 2/10"


def test_the_panel_counts_the_trial_at_hand(clock):
    progress = Progress(ONE, 10, clock=clock)
    progress.began(SEARCH, 0)
    assert progress.place() == "search 1/10"


def test_the_panel_sets_the_best_against_the_best_baseline(clock):
    progress = Progress(SUMMED, 4, clock=clock)
    run(progress, clock, baseline(0, "base", sums=0.4, words=0.2))
    run(progress, clock, baseline(1, "sums", sums=0.6, words=0.2))
    run(progress, clock, trial(2, values={"sums": 0.7, "words": 0.4}))
    run(progress, clock, failed(3, "no luck"))
    assert dict(rows(progress)) == {
        "best": "sums .700  words .400  total .900  (trial 2)",
        "baseline": "sums .600  words .200  total .700  (trial 1: sums)",
        "last": "failed: no luck  (trial 3)",
        "time": "2.0 s a trial, 4.0 s left",
        "failed": "1 trial; (trial 3): no luck",
    }


def test_the_panel_of_a_pareto_search_has_the_best_of_each_objective_and_the_front(clock):
    progress = Progress(APART, 4, clock=clock)
    run(progress, clock, trial(0, values={"sums": 0.6, "words": 0.1}))
    run(progress, clock, trial(1, values={"sums": 0.1, "words": 0.5}))
    shown = dict(rows(progress))
    assert shown["best"] == "sums .600  words .500"
    assert shown["front"] == "2 recipes"


def test_the_panel_shows_messages_as_they_are(clock):
    progress = Progress(ONE, 4, clock=clock)
    run(progress, clock, failed(0, "found [bold]; expected a number"))
    text = StringIO()
    Console(file=text, width=100).print(panel(progress))
    assert "found [bold]; expected" in text.getvalue()
    assert "search 1/4" in text.getvalue()


def test_where_there_is_no_terminal_every_new_trial_is_one_line(capsys):
    with watching(ONE, budget=3) as watcher:
        watcher.note("resuming after trial 0")
        watcher.ended(trial(0, values={"sums": 0.4}))
        watcher.began(SEARCH, 1)
        watcher.ended(trial(1, values={"sums": 0.5}))
    shown = capsys.readouterr()
    assert shown.out == ""
    first, second = shown.err.splitlines()
    assert first == "resuming after trial 0"
    assert second.startswith("search 2/3  sums .500  best .500 (trial 1)  ")


def test_a_quiet_search_says_nothing(capsys):
    with watching(ONE, budget=3, quiet=True) as watcher:
        watcher.began(SEARCH, 0)
        watcher.ended(trial(0, values={"sums": 0.4}))
        watcher.note("something to be known")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("quiet", [True, False])
def test_an_interrupt_goes_through(quiet, capsys):
    def interrupted() -> None:
        with watching(ONE, budget=3, quiet=quiet) as watcher:
            watcher.began(SEARCH, 0)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()


def test_a_recalled_trial_is_a_line_like_any_other(clock, capsys):
    lines = Lines(Progress(ONE, 5, clock=clock))
    first = trial(0, values={"sums": 0.5})
    for one in (first, replace(first, number=1, recalled=0)):
        lines.began(SEARCH, one.number)
        lines.ended(one)
    assert len(capsys.readouterr().err.splitlines()) == 2


ON_A_TERMINAL = """
import sys
from evomerge.cli.live import watching
from tests.report.trials import ONE, failed, trial
with watching(ONE, budget=2) as watcher:
    watcher.note("three models in [memory]")
    watcher.began("search", 0)
    watcher.ended(trial(0, values={"sums": 0.4}))
    sys.stderr.write("warning: something else\\n")
    if "interrupt" in sys.argv:
        raise KeyboardInterrupt
sys.stdout.write("found\\n")
"""


def on_a_terminal(*words: str) -> tuple[int, str, str]:
    """Exit code, standard output, and what stood on the terminal that was standard error."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", ON_A_TERMINAL, *words],
        stdout=subprocess.PIPE,
        stderr=follower,
        text=True,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "80"},
    )
    os.close(follower)
    seen = b""
    try:
        while chunk := os.read(leader, 4096):
            seen += chunk
    except OSError:  # the other end was closed
        pass
    out, _ = process.communicate()
    os.close(leader)
    return process.returncode, out, seen.decode()


def test_on_a_terminal_there_is_a_panel_and_results_stay_apart():
    code, out, seen = on_a_terminal()
    assert (code, out) == (0, "found\n")
    assert "three models in [memory]" in seen
    assert "warning: something else" in seen
    assert "sums .400  (trial 0)" in seen
    assert "search 1/2" in seen
    assert seen.rstrip().endswith("\x1b[?25h")  # the cursor is back


def test_an_interrupt_on_a_terminal_gives_the_cursor_back():
    code, out, seen = on_a_terminal("interrupt")
    assert (code, out) == (-2, "")
    assert "\x1b[?25h" in seen
    assert "KeyboardInterrupt" in seen
