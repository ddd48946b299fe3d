"""Promises of inspection: it says what is in a model, and what a merge will make."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.numpy import load_file

import evomerge
from evomerge.checkpoint.tensor_file import TensorFile
from evomerge.errors import CheckpointError, RecipeError
from evomerge.families import FAMILIES
from evomerge.inspection import Contents, Unreadable, inspect_model, inspect_recipe
from evomerge.inspection.contents import KINDS, group_of
from evomerge.recipe import ModelReference
from evomerge.zoo.random_models import Options, random_model, random_siblings
from evomerge.zoo.small_tokenizers import word_tokenizer
from tests.checkpoint.peft_adapters import factors, hand_made

SMALL = Options(layers=2, hidden=16, tokenizer=word_tokenizer(["cat", "sat"]))
QUERY = "model.layers.0.self_attn.q_proj"
MODELS = {
    "llama": ("llama", SMALL),
    "tied": ("qwen2", replace(SMALL, tied=True)),
    "sharded": ("qwen3", replace(SMALL, shard_bytes=4000, dtype="bfloat16")),
    "first GPT-2": ("gpt2", replace(SMALL, original=True, tied=True)),
    "first GPT-NeoX": ("gpt_neox", replace(SMALL, original=True)),
    "experts": ("mixtral", SMALL),
    "fused": ("phi3", SMALL),
}


@pytest.fixture(scope="module")
def family(module_folder) -> Path:
    """``base``, ``expert_1`` and ``expert_2``; ``other``, with one more token and in bfloat16."""
    random_siblings(module_folder, options=SMALL)
    more = replace(SMALL, tokenizer=word_tokenizer(["cat", "sat", "dog"]), dtype="bfloat16")
    random_model(module_folder / "other", options=more)
    return module_folder


def facts(folder: Path, adapter: Path | None = None):
    return inspect_model(ModelReference(str(folder), adapter=adapter and str(adapter)))


@pytest.mark.parametrize("name", MODELS)
def test_a_model_is_counted_as_its_files_hold_it(name, tmp_path):
    model, options = MODELS[name]
    contents = facts(random_model(tmp_path / "model", model, options=options)).contents
    tensors = {}
    for file in (tmp_path / "model").glob("*.safetensors"):
        tensors |= load_file(file) if options.dtype == "float32" else TensorFile(file).tensors
    assert contents.layers == options.layers
    assert contents.vocabulary == options.rows
    assert contents.tied == options.tied
    assert options.dtype in contents.dtypes
    assert contents.nbytes == sum(tensor.nbytes for tensor in tensors.values())
    assert sum(contents.dtypes.values()) == sum(tensor.size for tensor in tensors.values())


@pytest.mark.parametrize("name", MODELS)
def test_groups_divide_the_tensors(name, tmp_path):
    model, options = MODELS[name]
    contents = facts(random_model(tmp_path / "model", model, options=options)).contents
    kinds = [group.kind for group in contents.groups]
    expected = {"embeddings", "attention", "mlp", "norms"}
    expected |= set() if options.tied else {"head"}
    expected |= {"buffers"} if options.original else set()
    assert set(kinds) == expected
    assert kinds == sorted(kinds, key=KINDS.index)
    assert sum(group.nbytes for group in contents.groups) == contents.nbytes
    trained = [group for group in contents.groups if group.kind != "buffers"]
    assert sum(group.parameters for group in trained) == contents.parameters


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("model.layers.3.post_attention_layernorm.weight", "norms"),
        ("model.layers.3.self_attn.q_norm.weight", "norms"),
        ("model.layers.3.self_attn.q_proj.bias", "attention"),
        ("model.layers.3.block_sparse_moe.experts.7.w1.weight", "mlp"),
        ("model.layers.3.self_attn.rotary_emb.inv_freq", "buffers"),
        ("lm_head.bias", "head"),
        ("model.embed_tokens.weight", "embeddings"),
        ("model.layers.3.scale", "other"),
    ],
)
def test_a_name_tells_the_kind(name, kind):
    assert group_of(FAMILIES[0], name) == kind


def test_an_adapter_is_part_of_its_model(family, tmp_path):
    lora = hand_made(tmp_path / "lora", factors(QUERY, 16, 16))
    found = facts(family / "base", lora)
    assert found.adapter is not None
    assert (found.adapter.name, found.adapter.rank, found.adapter.tensors) == (str(lora), 2, 1)
    assert found.contents == facts(family / "base").contents


def test_a_quantised_model_is_shown_as_such(family, tmp_path):
    folder = Path(shutil.copytree(family / "base", tmp_path / "gptq"))
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "gptq"}
    (folder / "config.json").write_text(json.dumps(config))
    assert facts(folder).quantised == "gptq"
    assert facts(family / "base").quantised is None


def test_what_is_no_model_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="an empty folder"):
        facts(tmp_path)


def recipe(folder: Path, **entries: object) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(json.dumps(entries))
    return path


def weighted(*models: Path) -> list[dict[str, object]]:
    return [{"model": str(model), "parameters": {"weight": 1}} for model in models]


def of_layers(model: Path, first: int, end: int) -> dict[str, object]:
    return {"sources": [{"model": str(model), "layer_range": [first, end]}]}


RECIPES = {
    "ties": lambda f: {
        "merge_method": "ties",
        "base_model": str(f / "base"),
        "models": weighted(f / "expert_1", f / "expert_2"),
    },
    "bfloat16": lambda f: {
        "merge_method": "linear",
        "models": weighted(f / "base", f / "expert_1"),
        "out_dtype": "bfloat16",
    },
    "union": lambda f: {
        "merge_method": "linear",
        "models": weighted(f / "base", f / "other"),
        "tokenizer": {"source": "union", "pad_to_multiple_of": 16},
    },
    "stack": lambda f: {
        "merge_method": "passthrough",
        "slices": [of_layers(f / "base", 0, 2), of_layers(f / "expert_1", 1, 2)],
    },
}


@pytest.mark.parametrize("name", RECIPES)
def test_a_merge_makes_what_inspection_says(name, family, tmp_path):
    path = recipe(tmp_path, **RECIPES[name](family))
    expected = inspect_recipe(path)
    evomerge.merge(path, tmp_path / "out")
    assert expected.reason is None
    assert expected.output is not None
    assert expected.output.contents == facts(tmp_path / "out").contents


def test_models_are_listed_in_the_order_of_the_recipe_and_the_base_last(family, tmp_path):
    found = inspect_recipe(recipe(tmp_path, **RECIPES["ties"](family)))
    names = [str(family / name) for name in ("expert_1", "expert_2", "base")]
    assert [model.name for model in found.models] == names
    assert found.base == names[-1]
    assert [model for model in found.models if isinstance(model, Unreadable)] == []


def test_slices_are_numbered_as_in_the_output(family, tmp_path):
    found = inspect_recipe(recipe(tmp_path, **RECIPES["stack"](family)))
    assert found.output is not None
    spans = [(part.first, part.end, part.sources) for part in found.output.slices]
    assert spans == [
        (0, 2, ((str(family / "base"), 0, 2),)),
        (2, 3, ((str(family / "expert_1"), 1, 2),)),
    ]


def test_parameters_are_told_by_group(family, tmp_path):
    """A gradient gives a range, a filter a group of its own, and what is not given its default."""
    expert = str(family / "expert_1")
    densities = [{"filter": "mlp", "value": [0.2, 0.4]}, {"value": 0.6}]
    path = recipe(
        tmp_path,
        merge_method="ties",
        base_model=str(family / "base"),
        models=[{"model": expert, "parameters": {"weight": 1, "density": densities}}],
        parameters={"normalize": False},
    )
    output = inspect_recipe(path).output
    assert output is not None
    told = {(one.parameter, one.model): one for one in output.applied}
    kinds = ["embeddings", "attention", "mlp", "norms", "head"]
    assert told["density", expert].values == dict.fromkeys(kinds, (0.6,)) | {"mlp": (0.2, 0.4)}
    assert told["weight", expert].values == dict.fromkeys(kinds, (1.0,))
    assert told["normalize", None].values == dict.fromkeys(kinds, (False,))
    assert told["lambda", None].values == dict.fromkeys(kinds, (1.0,))
    given = {name for (name, _), one in told.items() if one.given}
    assert given == {"weight", "density", "normalize"}


def test_of_several_methods_the_parameters_of_each_are_told_where_they_are_read(family, tmp_path):
    expert = str(family / "expert_1")
    path = recipe(
        tmp_path,
        merge_method=[{"filter": "mlp", "value": "ties"}, {"value": "task_arithmetic"}],
        base_model=str(family / "base"),
        models=[{"model": expert, "parameters": {"weight": 1}}],
        parameters={"trim": "tensor"},
    )
    found = inspect_recipe(path)
    assert found.method == "ties and task_arithmetic"
    assert found.output is not None
    told = {one.parameter: one for one in found.output.applied}
    assert told["trim"].values == {"mlp": ("tensor",)}
    assert told["weight"].values == dict.fromkeys(
        ["embeddings", "attention", "mlp", "norms", "head"], (1.0,)
    )
    assert list(told)[:3] == ["merge_method", "weight", "density"]
    assert told["merge_method"].given
    assert told["merge_method"].values == dict.fromkeys(
        ["embeddings", "attention", "norms", "head"], ("task_arithmetic",)
    ) | {"mlp": ("ties",)}


def test_a_recipe_that_cannot_be_merged_still_tells_of_the_models_that_can_be_opened(
    family, tmp_path
):
    models = weighted(family / "base", family / "gone")
    found = inspect_recipe(recipe(tmp_path, merge_method="linear", models=models))
    opened, lost = found.models
    assert isinstance(lost, Unreadable)
    assert lost.reason == found.reason == f"'{family / 'gone'}': no such folder"
    assert not isinstance(opened, Unreadable)
    assert isinstance(opened.contents, Contents)
    assert found.output is None


def test_what_is_no_recipe_is_refused(tmp_path):
    with pytest.raises(RecipeError, match="merge_method: missing"):
        inspect_recipe(recipe(tmp_path, models=[{"model": "a"}]))
