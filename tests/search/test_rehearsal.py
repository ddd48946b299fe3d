"""What a check foretells of a search: the time in which models are measured is told apart."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evomerge.cli.check import _foretold
from evomerge.config.preparing import Prepared, prepare
from evomerge.config.reading import read_config
from evomerge.measurements import of_model
from evomerge.rehearsal import rehearse
from tests.measurements.test_models import cache  # noqa: F401 - a folder of its own for each test
from tests.search.tiny_runs import config, family

SKILLS = ("words", "sums")


@pytest.fixture(scope="module")
def models(module_folder: Path):
    return family(module_folder / "models")


def asked(folder: Path, models, *methods: str) -> Prepared:
    """A search among methods, with data beside."""
    entries = [{"model": skill, "parameters": {"weight": {"search": [0, 1]}}} for skill in SKILLS]
    recipe: dict[str, object] = {"merge_method": {"choose": methods}, "models": entries}
    recipe["data"] = {"file": "texts.jsonl", "items": 2}
    path = config(folder, models, "catcma", recipe=recipe)
    (folder / "texts.jsonl").write_text(2 * (json.dumps({"text": "one and one is two"}) + "\n"))
    return prepare(read_config(path))


@pytest.mark.usefixtures("cache")
def test_what_any_method_of_a_search_looks_at_is_measured_and_kept(
    tmp_path: Path, models, monkeypatch: pytest.MonkeyPatch
):
    measured, measure = [], of_model.measure
    monkeypatch.setattr(
        of_model, "measure", lambda *given: measured.append(given[1]) or measure(*given)
    )
    # Neither candidate that is timed looks at data.
    prepared = asked(tmp_path, models, "fisher", "linear", "nuslerp", "regmean")
    found = rehearse(prepared)
    assert sorted(measured) == ["fisher"] * 2 + ["gram"] * 2
    assert found.measuring is not None
    told = next(_foretold(found))
    assert told.startswith("what methods look at is measured, after ")
    assert told.endswith(", and kept")
    again = rehearse(prepared)
    assert len(measured) == 4
    assert again.measuring is not None
    assert again.measuring < found.measuring


def test_data_that_no_method_looks_at_are_not_read(tmp_path: Path, models):
    found = rehearse(asked(tmp_path, models, "linear", "nuslerp"))
    assert found.measuring is None
    assert next(_foretold(found)).startswith("a trial takes ")
