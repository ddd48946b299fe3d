"""What is scored is what is exported: the model in memory is the one that a folder would give."""

from __future__ import annotations

from pathlib import Path

import pytest

from evomerge.zoo.random_models import FAMILIES
from tests.workbench.benches import assert_same, bench, exported, logits, recipe, siblings

VARIANTS = [
    *(pytest.param(family, {}, id=family) for family in FAMILIES),
    *(pytest.param(family, {"tied": True}, id=f"{family} tied") for family in FAMILIES),
    *(
        pytest.param(family, {"dtype": "bfloat16", "shard_bytes": 20_000}, id=f"{family} sharded")
        for family in FAMILIES
    ),
    pytest.param("gpt2", {"tied": True, "original": True}, id="first gpt2"),
    pytest.param("gpt_neox", {"original": True}, id="first gpt_neox"),
]


@pytest.mark.parametrize(("family", "options"), VARIANTS)
def test_every_candidate_is_the_model_of_its_export(tmp_path: Path, family: str, options: dict):
    """In turn, with other weights, other methods and another seed in between."""
    base, *experts = siblings(tmp_path / "models", family, **options)
    asked = [
        recipe("ties", base, experts, weight=[0.4, 0.8], density=[0.5, 0.7]),
        recipe("linear", None, experts, weight=[0.3, 1.1]),
        recipe("dare_ties", base, experts, weight=[0.4, 0.8], density=[0.5, 0.7], seed=3),
        recipe("dare_ties", base, experts, weight=[0.4, 0.8], density=[0.5, 0.7], seed=4),
        recipe("slerp", base, experts[:1], t=0.3),
    ]
    expected = [exported(each, tmp_path / str(i)) for i, each in enumerate(asked)]
    with bench([base, *experts]) as workbench:
        for i in (0, 1, 2, 3, 4, 2, 0):
            assert_same(workbench.build(asked[i]), expected[i])
    assert not logits(expected[2]).equal(logits(expected[3]))
