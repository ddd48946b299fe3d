"""Candidates of merged adapters: what is scored is what is exported; little is done for each."""

from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import pytest
import torch
from peft import PeftModel
from safetensors.numpy import load_file
from transformers import AutoModelForCausalLM

from evomerge.adapters.adapter import Adapter
from evomerge.api import merge
from evomerge.errors import MergeError, RecipeError
from evomerge.recipe import ModelReference, Recipe
from evomerge.recipe.adapters import AdapterRecipe
from evomerge.workbench import Settings, memory_plan
from evomerge.workbench.adapting import Candidate
from evomerge.zoo.random_models import Options, random_model
from evomerge.zoo.small_tokenizers import word_tokenizer
from tests.checkpoint.peft_adapters import factors, hand_made, trained
from tests.workbench.benches import CPU, WORDS, assert_same, bench, exported, logits

TARGETS = {"llama": ["q_proj", "v_proj", "down_proj"], "gpt2": ["c_attn", "c_proj"]}
# One after the other, on one workbench.
STEPS = [
    {"merge_method": "linear"},
    {"merge_method": "frechet", "parameters": {"manifold": "balanced", "scale": 1.5}},
    {"merge_method": "frechet", "parameters": {"manifold": "chordal", "rank": "2r"}},
    {"merge_method": "knots", "parameters": {"consensus": "dare", "density": 0.5}, "seed": 3},
    {"merge_method": "svd", "parameters": {"weight": [1, 2]}},
    {"merge_method": "linear"},
]


def base_of(folder: Path, family: str, dtype: str) -> Path:
    options = Options(tokenizer=word_tokenizer(WORDS), dtype=dtype)
    return random_model(folder / f"{family}-{dtype}", family, options=options)


def adapters_of(base: Path, targets: list[str], **settings) -> list[Path]:
    """Two of different rank and scaling; the second changes fewer modules."""
    first = {"r": 3, "lora_alpha": 6, "target_modules": targets}
    second = {"r": 4, "use_rslora": True, "target_modules": targets[:-1]}
    return [
        trained(base.with_name(f"{base.name}-{seed}"), base, seed=seed, **each, **settings)
        for seed, each in enumerate((first, second))
    ]


@pytest.fixture(
    scope="module", params=[("llama", "bfloat16"), ("llama", "float32"), ("gpt2", "float32")]
)
def models(module_folder: Path, request: pytest.FixtureRequest) -> list[Path]:
    family, dtype = request.param
    base = base_of(module_folder, family, dtype)
    return [base, *adapters_of(base, TARGETS[family])]


@pytest.fixture(scope="module")
def llama(module_folder: Path) -> list[Path]:
    base = base_of(module_folder / "one", "llama", "float32")
    return [base, *adapters_of(base, TARGETS["llama"])]


def asked(models: list[Path], output: str = "model", **keys) -> AdapterRecipe:
    base, *adapters = map(str, models)
    listed = [{"adapter": adapter} for adapter in adapters]
    tree = {"merge_method": "linear", "base_model": base, "adapters": listed, "output": output}
    return AdapterRecipe.from_tree(tree | keys)


def alone(base: Path) -> Recipe:
    return Recipe.from_tree({"merge_method": "passthrough", "models": [{"model": str(base)}]})


@pytest.mark.parametrize("resident", [True, False])
def test_every_candidate_is_the_model_of_its_export(tmp_path: Path, models, resident: bool):
    with bench(models[:1], Settings(device="cpu", resident=resident)) as workbench:
        for number, keys in enumerate(STEPS):
            recipe = asked(models, **keys)
            assert_same(workbench.build(recipe), exported(recipe, tmp_path / str(number)))


def test_a_type_that_is_asked_for_is_that_of_the_candidate(tmp_path: Path, llama):
    with bench(llama[:1]) as workbench:
        recipe = asked(llama, dtype="bfloat16")
        found = workbench.build(recipe)
        assert found.model.dtype == torch.bfloat16
        assert_same(found, exported(recipe, tmp_path / "out"))


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")  # to PEFT
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_an_adapter_that_is_exported_computes_the_same_in_peft(tmp_path: Path, llama, dtype: str):
    recipe = asked(llama, output="adapter", dtype=dtype, merge_method="frechet")
    merge(recipe, tmp_path / "adapter")
    model = AutoModelForCausalLM.from_pretrained(llama[0])
    wrapped = PeftModel.from_pretrained(model, tmp_path / "adapter").eval()
    tokens = torch.arange(3, 35).reshape(2, 16)
    with bench(llama[:1]) as workbench, torch.no_grad():
        found = logits(workbench.build(recipe))
        assert torch.allclose(wrapped(tokens).logits, found, atol=1e-5)


@pytest.mark.parametrize(
    "settings",
    [{"use_dora": True}, {"bias": "lora_only"}, {"modules_to_save": ["lm_head"]}],
    ids=["lengths", "biases", "modules"],
)
def test_what_is_averaged_apart_is_in_the_candidate(tmp_path: Path, settings):
    base = base_of(tmp_path, "qwen2", "float32")
    models = [base, *adapters_of(base, TARGETS["llama"], **settings)]
    with bench(models[:1]) as workbench:
        for number, scale in enumerate((1, 0.5)):
            recipe = asked(models, parameters={"scale": scale})
            assert_same(workbench.build(recipe), exported(recipe, tmp_path / f"out-{number}"))


def test_only_matrices_that_change_are_written(llama):
    def built(**keys) -> int:
        workbench.build(asked(llama, **keys))
        return workbench.merged

    with bench(llama[:1]) as workbench:
        workbench.build(alone(llama[0]))
        assert built() == 6  # three matrices in each of two layers
        assert built() == 0
        assert built(output="adapter") == 0
        assert built(parameters={"scale": [{"filter": "q_proj", "value": 2}, {"value": 1}]}) == 2
        assert built() == 2
        workbench.build(alone(llama[0]))
        assert workbench.merged == 0  # where the base is, they stand


def test_factors_are_read_once(llama, monkeypatch: pytest.MonkeyPatch):
    read, decomposed = [], []
    load, qr = Adapter._load, np.linalg.qr
    monkeypatch.setattr(Adapter, "_load", lambda self, *a: read.append(a) or load(self, *a))
    monkeypatch.setattr(np.linalg, "qr", lambda *a: decomposed.append(a) or qr(*a))
    with bench(llama[:1]) as workbench:
        for scale in (1, 2):
            workbench.build(asked(llama, merge_method="svd", parameters={"scale": scale}))
            # Of both adapters two factors of each matrix; the second leaves one module alone.
            assert len(read) == len(decomposed) == 2 * (6 + 4)


def test_of_earlier_candidates_nothing_is_kept(llama):
    with bench(llama[:1]) as workbench:
        for step in range(5):
            workbench.build(asked(llama, parameters={"scale": 1 + step}))
        gc.collect()
        assert [type(each) for each in gc.get_objects()].count(Candidate) == 1


def test_a_candidate_that_fails_spoils_no_other(tmp_path: Path, llama):
    base = llama[0]
    size = load_file(base / "model.safetensors")["model.layers.0.self_attn.o_proj.weight"].shape
    apart = []
    for number in (0, 1):
        made = factors("model.layers.0.self_attn.o_proj", *size)
        made = {name: np.zeros_like(array) for name, array in made.items()}
        for array in made.values():  # of orthogonal directions
            array[(number, 0) if array.shape[1] == 2 else (0, number)] = 1
        apart.append(hand_made(tmp_path / f"apart-{number}", made))
    with bench([base]) as workbench:
        first = asked(llama)
        before = logits(workbench.build(first)).clone()
        with pytest.raises(MergeError, match="is not unique"):
            workbench.build(asked([base, *apart], merge_method="frechet"))
        assert torch.equal(logits(workbench.build(first)), before)


def test_another_base_is_not_on_the_workbench(llama):
    with bench(llama[:1], CPU) as workbench, pytest.raises(RecipeError, match="not on the workbe"):
        workbench.build(asked(llama).model_copy(update={"base_model": ModelReference("other")}))


def test_memory_is_that_of_one_base_and_of_the_factors(llama):
    recipe = asked(llama)
    found = memory_plan([ModelReference(str(llama[0]))], recipe, CPU)
    weights = load_file(llama[0] / "model.safetensors")
    changed = [name for name in weights if name.split(".")[-2] in TARGETS["llama"]]
    assert found.sources == found.model == sum(array.nbytes for array in weights.values())
    assert found.own == sum(weights[name].nbytes for name in changed)
    read = [load_file(adapter / "adapter_model.safetensors") for adapter in llama[1:]]
    numbers = sum(array.size for each in read for array in each.values())
    merged = numbers * 4  # of the linear mean: as much rank as both have, in float32
    assert found.surveys == 3 * 8 * numbers + merged
