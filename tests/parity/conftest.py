"""The models that recipes of these tests name: ``<kind>/base`` and ``<kind>/expert_<1 to 3>``."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
import yaml

from evomerge.zoo.random_models import FAMILIES, Options, random_siblings

# So that failing comparisons say what was compared.
pytest.register_assert_rewrite("tests.parity.side_by_side")

KINDS: Mapping[str, tuple[str, Options]] = {
    "llama": ("llama", Options(layers=4)),
    "tied": ("llama", Options(layers=4, tied=True)),
    "deep": ("llama", Options(layers=12, hidden=16)),
    "sharded": ("llama", Options(layers=4, shard_bytes=20_000)),
    "bfloat16": ("llama", Options(layers=2, hidden=64, dtype="bfloat16")),
    "float16": ("llama", Options(layers=2, hidden=64, dtype="float16")),
    "float32": ("llama", Options(layers=2, hidden=64)),
    "first_gpt2": ("gpt2", Options(layers=4, tied=True, original=True)),
    "first_gpt_neox": ("gpt_neox", Options(layers=4, original=True)),
    **{family: (family, Options(layers=4)) for family in FAMILIES if family != "llama"},
}
NAMED = re.compile(rf"\b({'|'.join(sorted(KINDS, reverse=True))})/(?:base|expert_\d)")

Tree = Mapping[str, object]
Zoo = Callable[[str | Tree], Tree]


@pytest.fixture(scope="session")
def zoo(session_folder: Path) -> Zoo:
    """Turns a recipe, or its YAML, that names models of `KINDS` into one that names folders."""
    torch.set_num_threads(1)
    folder = session_folder / "parity"

    def located(recipe: str | Tree) -> Tree:
        text = json.dumps(yaml.safe_load(recipe) if isinstance(recipe, str) else recipe)
        for kind in {found[1] for found in NAMED.finditer(text)}:
            if not (folder / kind).exists():
                family, options = KINDS[kind]
                random_siblings(folder / kind, family, 3, options=options)
        return json.loads(NAMED.sub(lambda found: str(folder / found[0]), text))

    return located
