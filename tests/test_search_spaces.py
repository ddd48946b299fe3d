"""Every recipe of search_spaces/ can be read, and says what it is for."""

from __future__ import annotations

from pathlib import Path

import pytest

from evomerge.recipe import Recipe

FOLDER = Path(__file__).parent.parent / "search_spaces"


@pytest.fixture(params=sorted(FOLDER.glob("*.yaml")), ids=lambda file: file.stem)
def file(request: pytest.FixtureRequest) -> Path:
    return request.param


def test_its_first_line_is_a_question(file: Path):
    first = file.read_text("utf-8").splitlines()[0]
    assert first.startswith("# ")
    assert first.endswith("?")


def test_it_merges_models_of_the_zoo(file: Path):
    references = Recipe.read(file).references()
    assert references
    assert all(reference.path.startswith("demo/zoo/") for reference in references)
