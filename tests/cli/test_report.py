"""Promises of ``evomerge report``."""

from __future__ import annotations

import csv
import json
from io import StringIO
from pathlib import Path

import pytest

from evomerge.inspection.stack_picture import COLOURS
from evomerge.report.summary import summarise
from evomerge.study import Study
from evomerge.trial import Failure, Score, Trial
from tests.report.studies import finished
from tests.search.fakes import new_study

LUCK = Failure("error", "no luck")


@pytest.fixture(scope="module")
def study(module_folder: Path) -> Study:
    return finished(module_folder / "run", trials=12, allow_benchmarks=True)


@pytest.fixture
def run(study, monkeypatch) -> Study:
    """The study, in the folder ``run`` of the current one."""
    monkeypatch.chdir(study.run.parent)
    return study


def test_the_verdict_is_the_first_line_and_benchmarks_are_warned_of_in_the_second(run, evomerge):
    code, out, err = evomerge("report", "run")
    assert (code, err) == (0, "")
    paragraphs = [" ".join(part.split()) for part in out.split("\n\n")]
    assert paragraphs[0] == summarise(run).headline
    assert paragraphs[1].startswith("Warning: the config allows to search on commonly reported")
    assert "\nBest recipe (trial " in out


def test_paragraphs_fit_a_terminal_and_recipes_stay_as_they_are(run, evomerge):
    out = evomerge("report", "run")[1]
    recipe = out[out.index("\nmodels:") + 1 : out.index("What mattered")].strip()
    best = summarise(run).best
    assert best is not None
    assert f"density: {best.point['density']}" in recipe
    assert max(map(len, out.splitlines())) <= 120


def test_a_running_search_is_reported_on_and_takes_no_lock(run, evomerge):
    """The study of the fixture is open for writing."""
    before = {path: path.stat().st_mtime_ns for path in Path("run").rglob("*")}
    assert evomerge("report", "run")[0] == 0
    assert {path: path.stat().st_mtime_ns for path in Path("run").rglob("*")} == before


def test_json_and_csv_are_what_programs_read(run, evomerge):
    tree = json.loads(evomerge("report", "run", "--form", "json")[1])
    rows = list(csv.DictReader(StringIO(evomerge("report", "run", "--form", "csv")[1])))
    assert len(rows) == sum(tree["trials"].values()) == len(run.trials)
    assert tree["headline"] == summarise(run).headline


def test_html_is_one_page(run, evomerge):
    pytest.importorskip("plotly")
    code, out, _ = evomerge("report", "run", "--form", "html")
    assert code == 0
    assert out.startswith("<!DOCTYPE html>")
    assert out.endswith("</html>\n")


def test_a_trial_is_told_with_recipe_scores_and_time(run, evomerge):
    code, out, _ = evomerge("report", "run", "--trial", 1)
    assert code == 0
    assert out.startswith("Trial 1 (parent sums) of run: baselines.\n")
    assert "It was scored again, or simplified, as trial 16." in out
    assert "sums    .515  higher    200" in out
    assert "merge     500 ms" in out
    assert "merge_method: ties" in out
    tree = json.loads(evomerge("report", "run", "--trial", 1, "--form", "json")[1])
    assert tree["scores"]["sums"] == {"value": 0.515, "higher_is_better": True, "items": 200}


def test_a_failed_trial_is_told_with_its_error(run, evomerge):
    (failed,) = [trial for trial in run.trials if trial.failure]
    assert (
        "It failed (error): trial.py: no luck"
        in evomerge("report", "run", "--trial", failed.number)[1]
    )


def test_items_gained_and_lost_are_counted_and_listed(run, evomerge):
    code, out, _ = evomerge("report", "run", "--items", 0, 1)
    assert code == 0
    assert out.startswith("From trial 0 to trial 1: gained is where 1 is better.\n")
    tree = json.loads(evomerge("report", "run", "--items", 0, 1, "--form", "json")[1])
    sums = tree["changes"][0]
    before, after = (run.tables(number)[0].contributions for number in (0, 1))
    assert sums["gained"] == [item for item in before if after[item] > before[item]]
    assert sums["lost"] == []
    assert f"acc       200  {len(sums['gained']):>6}     0       +.115" in out


def test_two_runs_stand_side_by_side(run, evomerge, tmp_path):
    finished(tmp_path / "other", trials=6)
    code, out, _ = evomerge("report", "run", tmp_path / "other")
    assert code == 0
    assert "Side by side" in out
    tree = json.loads(evomerge("report", "run", tmp_path / "other", "--form", "json")[1])
    assert [Path(each["run"]).name for each in tree["runs"]] == ["run", "other"]


def test_the_best_stack_is_drawn_as_text_and_as_a_picture(tmp_path, evomerge, monkeypatch):
    pytest.importorskip("PIL", reason="pictures need the report extra")
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    slices = [
        {"sources": [{"model": model, "layer_range": layers}]}
        for model, layers in (("zoo/base", [0, 2]), ("zoo/sums", [1, 3]), ("zoo/base", [3, 4]))
    ]
    tree = {"merge_method": "passthrough", "slices": slices}
    with new_study(tmp_path / "run") as study:
        study.append(Trial(0, "search", tree, scores={"sums": Score(0.5, True, 10)}))
        study.append(Trial(1, "search", {**tree, "slices": slices[:1]}, failure=LUCK))
    code, out, err = evomerge("report", "run", "--picture", "stack.png")
    assert (code, err) == (0, "")
    assert "base  0  1  .  .  3\nsums  .  .  1  2  .\n" in out
    colours = {colour for _, colour in Image.open("stack.png").convert("RGB").getcolors(2**24)}
    assert set(COLOURS[:2]) <= colours
    assert not set(COLOURS[2:]) & colours
    code, out, _ = evomerge("report", "run", "--trial", 1, "--picture", "other.png")
    assert "base  0  1\n" in out
    assert Image.open("other.png").height < Image.open("stack.png").height


def test_without_a_winner_there_is_nothing_to_draw(tmp_path, evomerge):
    pytest.importorskip("PIL", reason="pictures need the report extra")
    new_study(tmp_path / "run").close()
    code, out, err = evomerge("report", tmp_path / "run", "--picture", tmp_path / "stack.png")
    assert (code, out) == (2, "")
    assert err.endswith("meets all constraints; name the one to draw with --trial\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "nowhere/study.jsonl: no such file; name the folder of a run"),
        (["run", "--trial", 99], "run: has no trial 99; it has trials 0 to "),
        (["run", "--items", 0, 99], "run: has no trial 99; it has trials 0 to "),
        (["run", "--items", 0, 17], "run: trial 17 was scored on the holdout, the other one on "),
        (["run", "--trial", 1, "--items", 0, 1], "report: give one of --trial and --items"),
        (["run", "run", "--trial", 1], "report: --trial is about one run; name one"),
        (["run", "run", "run"], "report: found 3 runs; give one, or two to compare"),
        (["run", "--trial", 1, "--form", "csv"], "report: there is no csv of --trial; take text "),
        (["run", "run", "--form", "html"], "report: there is no html of two runs; take text or "),
    ],
)
def test_what_cannot_be_reported_is_refused(words, message, run, evomerge):
    code, out, err = evomerge("report", *words)
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {message}")
