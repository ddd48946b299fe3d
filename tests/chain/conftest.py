"""A small family, and a chain over it that went to its end, which tests only read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from evomerge.chain import Chain
from evomerge.chain.running import begin, watched_by
from evomerge.config.chained import ChainConfig, read_either
from tests.chain.chains import blend, config, stack
from tests.search.tiny_runs import family

STAGES: Mapping[str, object] = {
    "blend": blend("words", "sums"),
    "stack": stack("blend", "words", layers=2),
}


@pytest.fixture(scope="package")
def models(session_folder: Path) -> Mapping[str, str]:
    """The folders of a base and two models made from it, by alias."""
    return family(session_folder / "chain-models")


@pytest.fixture(scope="package")
def finished(session_folder: Path, models: Mapping[str, str]) -> Chain:
    path = config(session_folder / "chain", models, STAGES)
    begin(read(path), None, watched_by(None))
    return Chain.open(path.parent / "run")


def read(path: Path) -> ChainConfig:
    found = read_either(path)
    assert isinstance(found, ChainConfig)
    return found
