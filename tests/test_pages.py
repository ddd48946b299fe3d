"""The pages for people: their links lead somewhere, and what they call by name exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from evomerge.cli.main import VERBS

ROOT = Path(__file__).parent.parent
PAGES = [
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "search_spaces" / "README.md",
    ROOT / "examples" / "README.md",
    ROOT / "CHANGELOG.md",
]


@pytest.fixture(params=PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def page(request: pytest.FixtureRequest) -> Path:
    return request.param


def anchors(page: Path) -> set[str]:
    """What the headings of a page are called in links."""
    titles = re.findall(r"^##* (.*)$", page.read_text("utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}


def test_its_links_lead_somewhere(page: Path):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if target.startswith("http"):
            continue
        path, _, anchor = target.partition("#")
        there = page.parent / path if path else page
        assert there.exists(), target
        assert not anchor or anchor in anchors(there), target


def test_its_verbs_exist(page: Path):
    text = page.read_text("utf-8")
    blocks = re.findall(r"^```(?:sh|text)\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    used = re.findall(r"^evomerge (\w[\w-]*)", "".join(blocks), flags=re.MULTILINE)
    assert {*used, *re.findall(r"`evomerge (\w[\w-]*)", text)} <= set(VERBS)
