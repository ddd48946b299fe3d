"""Promises of loading a model to be scored."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from evomerge.errors import CheckpointError, EvaluationError
from evomerge.evaluators.loading import load_model, outline_model


@pytest.fixture
def folder(models, tmp_path):
    """A copy of a good model folder, to be spoiled."""
    return shutil.copytree(models[0].label, tmp_path / "model")


def test_a_loaded_model_is_ready_to_be_scored(folder):
    loaded = load_model(folder, device="cpu")
    assert (loaded.label, loaded.device, loaded.dtype) == (str(folder), "cpu", "float32")
    assert not loaded.model.training
    assert not any(parameter.requires_grad for parameter in loaded.model.parameters())
    assert loaded.tokenizer.encode("the cat") == [4, 5]


def test_the_weights_are_of_the_dtype_asked_for(folder):
    assert load_model(folder, dtype="bfloat16", device="cpu").dtype == "bfloat16"


def test_a_loaded_model_knows_its_folder_and_may_have_another_name(folder):
    loaded = load_model(folder, device="cpu", label="mine")
    assert (loaded.label, loaded.written()) == ("mine", folder)
    assert not loaded.has_own_code


def test_an_outline_has_the_shape_of_the_model_and_none_of_its_weights(folder):
    outline, loaded = outline_model(folder), load_model(folder, device="cpu")
    shapes = {name: tensor.shape for name, tensor in loaded.model.named_parameters()}
    assert {name: tensor.shape for name, tensor in outline.model.named_parameters()} == shapes
    assert (outline.label, outline.device, outline.dtype) == (str(folder), "meta", "float32")
    assert outline.written() == folder
    (folder / "config.json").unlink()
    with pytest.raises(CheckpointError, match="transformers cannot load this folder"):
        outline_model(folder)


@pytest.mark.gpu
def test_the_device_is_a_gpu_where_there_is_one(folder):
    assert load_model(folder).device == "cuda:0"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": "bf16"}, "unknown dtype 'bf16'; did you mean 'bfloat16'"),
        ({"device": "gpu"}, "device 'gpu': .*; expected auto, cpu, cuda"),
    ],
)
def test_unknown_options_are_refused(folder, options, message):
    with pytest.raises(EvaluationError, match=message):
        load_model(folder, **options)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("./nothing/here", "nothing/here: no such folder; give a model folder or a Hugging Face"),
        ("nobody/nothing", "nobody/nothing: neither a folder here nor a model of the Hugging Face"),
    ],
)
def test_a_model_that_is_not_there_is_named(name, message):
    with pytest.raises(CheckpointError, match=message):
        load_model(name)


def test_an_empty_folder_is_no_model(tmp_path):
    with pytest.raises(CheckpointError, match="transformers cannot load this folder"):
        load_model(tmp_path)


def test_pickles_are_refused_with_the_way_to_convert_them(folder):
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    load_model(folder, device="cpu")
    (folder / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"pytorch_model.bin is a pickle, .* save_pretrained"):
        load_model(folder, device="cpu")


def test_a_missing_tensor_is_not_made_up(folder):
    tensors = load_file(folder / "model.safetensors")
    del tensors["model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(
        CheckpointError, match=r"1 missing keys, first model\.layers\.1\.mlp\.up_proj"
    ):
        load_model(folder, device="cpu")


def test_a_tensor_of_another_shape_is_not_made_up(folder):
    config = json.loads((folder / "config.json").read_text())
    config["intermediate_size"] += 8
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="model: "):
        load_model(folder, device="cpu")


def test_a_truncated_file_is_named(folder):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="transformers cannot load this folder"):
        load_model(folder, device="cpu")
