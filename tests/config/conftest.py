"""A small family, and a config over it that the tests of this folder change."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from evomerge.config.reading import Located, read_config
from tests.search.tiny_runs import TEXT, family

HOLE: Mapping[str, object] = {"search": [0, 1]}
WEIGHTS = ("models[words].parameters.weight", "models[sums].parameters.weight")


@pytest.fixture(scope="package")
def models(session_folder: Path) -> Mapping[str, str]:
    """The folders of a base and two models made from it, by alias."""
    return family(session_folder / "config")


@pytest.fixture
def located(models: Mapping[str, str], tmp_path: Path) -> Callable[..., Located]:
    """Reads a sound config with other values of some keys."""

    def read(**changes: object) -> Located:
        (tmp_path / "text.txt").write_text(TEXT)
        tree = {
            "models": dict(models),
            "recipe": {
                "merge_method": "task_arithmetic",
                "base_model": "base",
                "models": [
                    {"model": alias, "parameters": {"weight": HOLE}} for alias in ("words", "sums")
                ],
                "dtype": "float32",
            },
            "evaluators": {"text": {"name": "perplexity", "file": "text.txt", "window": 32}},
            "objectives": "text",
            "budget": {"trials": 2},
            "simplify": False,
            **changes,
        }
        (tmp_path / "config.yaml").write_text(json.dumps(tree))
        return read_config(tmp_path / "config.yaml")

    return read
