"""What the front page shows works."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import evomerge
from evomerge.cli.main import VERBS
from evomerge.recipe import Recipe

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, flags=re.MULTILINE | re.DOTALL)


def test_its_recipe_is_one():
    (text,) = blocks("yaml")
    assert len(Recipe.parse(text).references()) == 3


def test_its_commands_exist():
    used = set(re.findall(r"^evomerge (\w+)", "\n".join(blocks("sh")), flags=re.MULTILINE))
    assert used <= set(VERBS)
    targets = set(re.findall(r"^make (\w+)", "\n".join(blocks("sh")), flags=re.MULTILINE))
    assert targets == {"demo", "test"}


def test_its_functions_exist():
    (program,) = blocks("python")
    names = re.findall(r"evomerge\.(\w+)", program)
    assert names
    assert all(hasattr(evomerge, name) for name in names)


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "docs/architecture.md"])
def test_its_links_lead_somewhere(page: str):
    targets = re.findall(r"\]\(([^)]+)\)", (ROOT / page).read_text("utf-8"))
    local = [target for target in targets if not target.startswith("http")]
    assert local
    missing = [target for target in local if not (ROOT / page).parent.joinpath(target).exists()]
    assert missing == []
