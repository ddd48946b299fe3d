"""A model with a LoRA adapter is what mergekit makes of it, by way of PEFT."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.checkpoint.peft_adapters import trained
from tests.parity.conftest import Zoo
from tests.parity.side_by_side import assert_same, follow

pytestmark = pytest.mark.parity

ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]
ADAPTERS = {
    "plain": {"r": 4, "lora_alpha": 8, "target_modules": ATTENTION},
    "all_linear": {"r": 2, "lora_alpha": 3, "target_modules": "all-linear"},
    "stabilised": {"r": 8, "lora_alpha": 8, "use_rslora": True, "target_modules": ["down_proj"]},
}


@pytest.fixture(scope="module")
def adapted(module_folder: Path, zoo: Zoo) -> dict[str, str]:
    """``base`` of each kind, and references to it with each adapter, by adapter."""
    base = Path(zoo({"model": "llama/base"})["model"])
    made = {
        name: f"{base}+{trained(module_folder / name, base, **settings)}"
        for name, settings in ADAPTERS.items()
    }
    return {"base": str(base), **made}


@pytest.mark.parametrize("name", ADAPTERS)
def test_an_adapter_alone(tmp_path: Path, adapted: dict[str, str], name: str):
    tree = {"merge_method": "passthrough", "models": [{"model": adapted[name]}], "dtype": "float32"}
    cache = str(tmp_path / "loras")
    assert_same(follow(tree, tmp_path / "merge", lora_merge_cache=cache))


@pytest.mark.parametrize(
    ("method", "given"),
    [
        ("linear", {"weight": 0.4}),
        ("task_arithmetic", {"weight": 0.7}),
        ("ties", {"weight": 0.7, "density": 0.4}),
        ("model_stock", {}),
    ],
)
def test_adapters_are_merged_like_models(
    tmp_path: Path, zoo: Zoo, adapted: dict[str, str], method: str, given: dict
):
    tree = {
        "merge_method": method,
        "models": [{"model": adapted[name]} for name in ("plain", "all_linear")],
        "parameters": given,
        "dtype": "float32",
    }
    tree["models"].append({"model": zoo({"model": "llama/expert_1"})["model"]})
    if method != "linear":
        tree["base_model"] = adapted["base"]
    cache = str(tmp_path / "loras")
    assert_same(follow(tree, tmp_path / "merge", lora_merge_cache=cache))
