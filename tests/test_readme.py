"""What the front page shows works."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

import evomerge
from evomerge.cli.main import VERBS
from evomerge.config.document import Config
from evomerge.goals import read_goals
from evomerge.methods.base import merge_methods
from evomerge.recipe import ModelReference
from evomerge.template import Template

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, flags=re.MULTILINE | re.DOTALL)


def test_its_config_is_one():
    (text,) = blocks("yaml")
    config = Config.model_validate(yaml.safe_load(text))
    models = {alias: ModelReference.parse(str(model)) for alias, model in config.models.items()}
    template = Template.read(config.recipe, models, merge_methods)
    assert template.fill(template.space.middle()).references()
    assert read_goals(config.objectives, config.constraints).pareto
    assert set(config.holdout) == set(config.objectives)


def test_its_commands_exist():
    used = set(re.findall(r"^evomerge (\w[\w-]*)", "\n".join(blocks("sh")), flags=re.MULTILINE))
    assert used <= set(VERBS)
    targets = set(re.findall(r"^make (\w+)", "\n".join(blocks("sh")), flags=re.MULTILINE))
    assert targets == {"demo", "test"}


def test_its_functions_exist():
    (program,) = blocks("python")
    names = re.findall(r"evomerge\.(\w+)", program)
    assert names
    assert all(hasattr(evomerge, name) for name in names)


PAGES = ["README.md", "CONTRIBUTING.md", "search_spaces/README.md", "benchmarks/README.md"]
PAGES += ["examples/README.md"]
PAGES += [f"docs/{page.name}" for page in sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES)
def test_its_links_lead_somewhere(page: str):
    targets = re.findall(r"\]\(([^)]+)\)", (ROOT / page).read_text("utf-8"))
    local = [target.partition("#")[0] for target in targets if not target.startswith("http")]
    missing = [
        target for target in local if target and not (ROOT / page).parent.joinpath(target).exists()
    ]
    assert missing == []
