"""What is scored is what is exported: the model in memory is the one that a folder would give."""

from __future__ import annotations

from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from evomerge.workbench import Settings
from evomerge.zoo.random_models import FAMILIES
from tests.checkpoint.peft_adapters import trained
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
    """In turn, with other weights and another method in between."""
    base, *experts = siblings(tmp_path / "models", family, **options)
    asked = [
        recipe("dare_ties", base, experts, weight=[0.4, 0.8], density=[0.5, 0.7], seed=3),
        recipe("linear", None, experts, weight=[0.3, 1.1]),
    ]
    expected = [exported(each, tmp_path / str(i)) for i, each in enumerate(asked)]
    with bench([base, *experts]) as workbench:
        for i in (0, 1, 0):
            assert_same(workbench.build(asked[i]), expected[i])
    assert not logits(expected[0]).equal(logits(expected[1]))


METHODS = {
    "ties": {"density": 0.4},
    "ties, global": {"density": 0.4, "trim": "global"},
    "breadcrumbs": {"density": 0.6, "gamma": 0.05},
    "breadcrumbs, rows": {"density": 0.6, "gamma": 0.05, "trim": "row"},
    "dare_linear": {"density": 0.6},
    "della": {"density": 0.6, "epsilon": 0.2},
    "task_arithmetic": {},
    "nuslerp": {},
    "model_stock": {"weight": None},
    "karcher": {"weight": None},
    "slerp": {"weight": None, "t": 0.3},
}


@pytest.mark.parametrize("resident", [True, False], ids=["resident", "streamed"])
def test_every_kind_of_method_in_turn(tmp_path: Path, resident: bool):
    """Some share surveys; the second round finds all of them, for other weights."""
    base, *experts = siblings(tmp_path / "models", dtype="bfloat16")
    settings = Settings(device="cpu", resident=resident, threads=2)
    with bench([base, *experts], settings) as workbench:
        for weight in (0.4, 0.7):
            for number, (title, given) in enumerate(METHODS.items()):
                name = title.partition(",")[0]
                parameters = {"weight": [weight, 1 - weight]} | given
                used = {key: value for key, value in parameters.items() if value is not None}
                merged = experts[:1] if name == "slerp" else experts
                asked = recipe(name, None if name == "karcher" else base, merged, **used)
                expected = exported(asked, tmp_path / f"{number}-{weight}")
                assert_same(workbench.build(asked), expected)


@pytest.mark.parametrize(
    ("dtype", "out_dtype"), [("float32", "bfloat16"), ("bfloat16", None), (None, "float16")]
)
def test_the_type_is_that_of_the_export(tmp_path: Path, dtype: str | None, out_dtype: str | None):
    base, *experts = siblings(tmp_path / "models", "qwen2")
    asked = recipe("linear", None, experts, weight=0.5, dtype=dtype, out_dtype=out_dtype)
    with bench([base, *experts]) as workbench:
        found = workbench.build(asked)
        assert_same(found, exported(asked, tmp_path / "out"))
    assert found.dtype == (out_dtype or dtype)


def test_parents_of_mixed_types(tmp_path: Path):
    """Norms are kept in float32: transformers rounds them when it loads the export."""
    models = siblings(tmp_path / "models", dtype="bfloat16")
    for model in models:
        weights = load_file(model / "model.safetensors")
        mixed = {name: t.float() if t.ndim == 1 else t for name, t in weights.items()}
        save_file(mixed, model / "model.safetensors", {"format": "pt"})
    asked = recipe("linear", None, models[1:], weight=[0.2, 0.9])
    with bench(models) as workbench:
        assert_same(workbench.build(asked), exported(asked, tmp_path / "out"))


def test_an_adapter_is_merged_as_its_model_is(tmp_path: Path):
    base, expert, _ = siblings(tmp_path / "models", dtype="bfloat16")
    adapter = trained(tmp_path / "lora", base, r=2, target_modules=["q_proj", "up_proj"])
    adapted = f"{base}+{adapter}"
    asked = recipe("ties", base, [expert, adapted], weight=[0.5, 1.0], density=[0.5, 0.9])
    with bench([base, expert, adapted]) as workbench:
        assert_same(workbench.build(asked), exported(asked, tmp_path / "out"))
