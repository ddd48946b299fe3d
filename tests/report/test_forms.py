"""Promises of the other forms of a report: for programs, for sheets, for browsers."""

from __future__ import annotations

import csv
import json
import re
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path

import pytest

from evomerge.errors import MissingExtra
from evomerge.report import page as page_module
from evomerge.report.blocks import Paragraph, Table
from evomerge.report.comparison import changed, comparison_document
from evomerge.report.page import page
from evomerge.report.sheet import FIXED, sheet
from evomerge.report.standing import Standing
from evomerge.report.summary import Summary, summarise
from evomerge.report.trees import comparison_tree, summary_tree, trial_tree
from evomerge.study import Study
from tests.report.studies import finished

DOCUMENT = Path(__file__).parents[2] / "docs" / "reports.md"


@pytest.fixture(scope="module")
def study(module_folder: Path) -> Study:
    return finished(module_folder / "run", objectives=["sums", "words"])


@pytest.fixture(scope="module")
def summary(study) -> Summary:
    return summarise(study)


def test_json_holds_all_of_the_summary_and_nothing_that_json_lacks(summary):
    tree = json.loads(json.dumps(summary_tree(summary), allow_nan=False))
    assert tree["headline"] == summary.headline
    assert tree["best"]["number"] == summary.best.number
    assert [each["number"] for each in tree["front"]] == [t.number for t in summary.front]
    assert tree["evidence"]["verdicts"][0]["word"] == "gain"
    assert tree["held_out"].keys() == {str(number) for number in summary.held_out}


def test_every_key_is_documented_and_every_documented_key_is_there(summary, study):
    tree = summary_tree(summary)
    documented = re.findall(r"^\| `(\w+)` \|", DOCUMENT.read_text("utf-8"), re.MULTILINE)
    keys = [*tree, *tree["times"], *tree["failures"][0], *trial_tree(study.find(0))]
    pair = comparison_tree(summary, summary, [])
    assert set(documented) == {*keys, *pair, "first", "second", "changes", "stages"}


def test_a_sheet_has_a_row_for_every_trial(study):
    rows = list(csv.DictReader(StringIO(sheet(study))))
    assert [int(row["number"]) for row in rows] == [trial.number for trial in study.trials]
    assert tuple(rows[0])[: len(FIXED)] == FIXED
    front = {trial.number for trial in Standing(study.goals, study.trials).front}
    for row, trial in zip(rows, study.trials, strict=True):
        scores = {name: float(row[f"score.{name}"]) for name in trial.scores}
        assert scores == {name: score.value for name, score in trial.scores.items()}
        assert int(row["on_front"]) == (trial.number in front)
        if trial.point is not None:
            assert float(row["point.weight"]) == trial.point["weight"]
        if trial.failure is not None:
            assert (row["failure_kind"], row["score.sums"]) == ("error", "")


def test_the_sheet_of_a_run_without_trials_is_its_header(tmp_path):
    from tests.report.studies import Book

    assert sheet(Book(tmp_path / "run").study) == ",".join(FIXED) + "\n"


class Page(HTMLParser):
    """Counts what a page is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loaded: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.loaded += [value for key, value in attrs if key in ("src", "href") and value]
        if tag not in ("meta",):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_whole_and_loads_nothing(study, summary):
    pytest.importorskip("plotly")
    text = page(study, summary)
    found = Page(text)
    assert found.open == []
    assert found.loaded == []
    assert text.count("Plotly.newPlot(") >= 3
    for title in ("How the search got on", "The front", "Where the good trials lie", "Baselines"):
        assert f"<h2>{title}</h2>" in text
    assert found.tags.count("table") >= 5


def test_the_page_shows_signs_as_they_are(tmp_path):
    pytest.importorskip("plotly")
    study = finished(tmp_path / "a<b>&c", trials=6)
    text = page(study, summarise(study))
    assert "a&lt;b&gt;&amp;c</h1>" in text
    assert "a<b>" not in text


def test_without_plotly_the_extra_is_named(study, summary, monkeypatch):
    monkeypatch.setattr(page_module, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"pip install 'evomerge\[report\]'"):
        page(study, summary)


def test_two_runs_stand_side_by_side_with_what_differs(study, summary, tmp_path):
    other = finished(tmp_path / "other", trials=6, constraints={"sums": {"min": 0.1}})
    pair = (summary, summarise(other), changed(study, other))
    blocks = list(comparison_document(*pair))
    said = [block.text for block in blocks if isinstance(block, Paragraph)]
    assert said[0] == f"{summary.run}: {summary.headline}"
    assert any("constraints" in text for text in said)
    (table,) = [block for block in blocks if isinstance(block, Table)]
    assert table.headings == ("", summary.run, str(other.run))
    assert ("trials, search", "40", "6") in table.rows


def test_runs_of_one_config_differ_in_nothing(study, summary):
    blocks = list(comparison_document(summary, summary, changed(study, study)))
    assert blocks[-1] == Paragraph("nothing that decides the trials")
