"""A recipe makes the model that mergekit makes of it, whatever the method and the structure."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.parity.conftest import Zoo
from tests.parity.recipes import Case, all_cases, sampled_cases
from tests.parity.side_by_side import assert_same, follow

pytestmark = pytest.mark.parity

# What mergekit leaves in config.json as it was, though it is no longer so.
WRONG = {
    "mixed": ("tie_word_embeddings",),
    "qwen2": ("max_window_layers",),
}

HEADLESS = ("mixed", "passthrough")


def check(case: Case, zoo: Zoo, out: Path) -> None:
    # It writes no head for a stack that ends in a tied model but begins with an untied one.
    left_out = ("lm_head.weight",) if (case.kind, case.given.method) == HEADLESS else ()
    pair = follow(zoo(case.recipe()), out)
    assert_same(pair, config=WRONG.get(case.kind, ()), left_out=left_out)


@pytest.mark.parametrize("case", sampled_cases(), ids=str)
def test_a_recipe_makes_the_same_model(tmp_path: Path, zoo: Zoo, case: Case):
    check(case, zoo, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("case", all_cases(), ids=str)
def test_every_recipe_makes_the_same_model(tmp_path: Path, zoo: Zoo, case: Case):
    check(case, zoo, tmp_path)
