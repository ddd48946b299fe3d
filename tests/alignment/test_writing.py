"""An element acts on a folder: what is written computes the same, or nothing is written."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from transformers import AutoTokenizer

from evomerge.alignment.declared import layout_of
from evomerge.alignment.drawing import random_element
from evomerge.alignment.elements import Units, invert
from evomerge.alignment.on_disk import layout_of_source
from evomerge.alignment.writing import write_moved
from evomerge.checkpoint.reader import open_checkpoint
from evomerge.errors import AlignmentError, CheckpointError, OutputError
from evomerge.zoo.random_models import Options, random_model
from evomerge.zoo.small_tokenizers import word_tokenizer
from tests.alignment.kinds import KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_every_family_is_written(kind, folders, tmp_path):
    with open_checkpoint(str(folders(kind))) as source:
        element = random_element(layout_of_source(source), 0)
        assert write_moved(source, element, tmp_path / "out") <= 1e-5
    with open_checkpoint(str(tmp_path / "out")) as written:
        write_moved(written, invert(element), tmp_path / "back")
    before, back = (load_file(f / "model.safetensors") for f in (folders(kind), tmp_path / "back"))
    assert before.keys() == back.keys()
    for name, tensor in before.items():
        np.testing.assert_allclose(back[name], tensor, atol=3e-6)


@pytest.mark.parametrize("kind", ["gpt2", "gpt_neox"])
def test_the_first_published_files_are_read(kind, folders, tmp_path):
    with open_checkpoint(str(folders(kind, original=True))) as source:
        element = random_element(layout_of_source(source), 0)
        assert write_moved(source, element, tmp_path / "out") <= 1e-5


def test_float64_is_checked_in_float64(folders, tmp_path):
    with open_checkpoint(str(folders("gemma3", dtype="float64"))) as source:
        element = random_element(layout_of_source(source), 0)
        assert write_moved(source, element, tmp_path / "out") <= 1e-10


@pytest.mark.parametrize(("groups", "kept"), [(["residual", "heads"], True), (["values"], False)])
def test_sixteen_bits_stay_where_nothing_is_rounded(groups, kept, folders, tmp_path):
    with open_checkpoint(str(folders("llama", dtype="bfloat16"))) as source:
        element = random_element(layout_of_source(source).only(groups), 0)
        assert write_moved(source, element, tmp_path / "out") <= 1e-5
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["dtype"] == ("bfloat16" if kept else "float32")
    with open_checkpoint(str(tmp_path / "out")) as written:
        assert {written.info(name).dtype.name for name in written.names()} == {config["dtype"]}


def test_shards_and_tokenizer(tmp_path):
    options = Options(shard_bytes=20_000, tokenizer=word_tokenizer(("the", "cat", "sat")))
    random_model(tmp_path / "model", options=options)
    with open_checkpoint(str(tmp_path / "model")) as source:
        write_moved(source, random_element(layout_of_source(source), 0), tmp_path / "out")
    assert AutoTokenizer.from_pretrained(tmp_path / "out")("the cat").input_ids


def test_nothing_is_written_where_the_model_would_compute_something_else(folders, tmp_path):
    with open_checkpoint(str(folders("gpt2"))) as source:
        signs = {"residual": Units(np.arange(32), np.where(np.arange(32) % 2, -1.0, 1.0))}
        with pytest.raises(AlignmentError, match="no symmetry of this model"):
            write_moved(source, signs, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def without(folder: Path, out: Path, *names: str) -> Path:
    """A copy of a model that lacks some tensors."""
    shutil.copytree(folder, out)
    tensors = load_file(out / "model.safetensors")
    rest = {name: tensor for name, tensor in tensors.items() if name not in names}
    save_file(rest, out / "model.safetensors", {"format": "pt"})
    return out


def test_a_model_that_lacks_a_tensor_is_refused(folders, tmp_path):
    """Before transformers draws what is missing at random, and finds that the logits changed."""
    broken = without(folders("llama"), tmp_path / "broken", "model.norm.weight")
    with open_checkpoint(str(broken)) as source:
        element = random_element(layout_of_source(source), 0)
        with pytest.raises(CheckpointError, match=r"broken: model.norm.weight is missing"):
            write_moved(source, element, tmp_path / "out")
    assert list(tmp_path.iterdir()) == [broken]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"), "there are no neurons of layer 1"),
        (("self_attn.v_proj",), "there are no values of layer 1"),
    ],
)
def test_a_model_that_lacks_a_part_of_a_layer_is_refused(names, message, folders, tmp_path):
    names = [f"model.layers.1.{name}.weight" for name in names]
    broken = without(folders("llama"), tmp_path / "broken", *names)
    with open_checkpoint(str(broken)) as source, pytest.raises(CheckpointError, match=message):
        layout_of_source(source)


def test_the_source_is_not_replaced(tmp_path):
    folder = random_model(tmp_path / "model")
    with open_checkpoint(str(folder)) as source:
        element = random_element(layout_of_source(source), 0)
        with pytest.raises(OutputError, match="would replace model, which is being aligned"):
            write_moved(source, element, folder, force=True)


def refused(config: dict[str, object], *names: str) -> str:
    with pytest.raises(AlignmentError) as error:
        layout_of(config, dict.fromkeys(names, (4, 4)), "mine")
    return str(error.value)


LLAMA = {
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 4,
    "num_attention_heads": 2,
    "num_hidden_layers": 1,
}


@pytest.mark.parametrize("kind", ["mixtral", "qwen3_moe"])
def test_mixtures_of_experts_do_not_align_yet(kind, folders):
    with open_checkpoint(str(folders(kind))) as source, pytest.raises(AlignmentError) as error:
        layout_of_source(source)
    assert "is a mixture of experts; such models merge, but do not align yet" in str(error.value)


def test_families_without_a_declaration_are_refused_by_name():
    bloom = {"architectures": ["BloomForCausalLM"]}
    assert refused(bloom, "h.0.x").startswith("mine: the symmetries of BLOOM are not declared; ")


def test_tensors_that_are_not_declared_are_refused_by_name():
    found = refused(LLAMA, "model.layers.0.self_attn.extra.weight")
    assert found.startswith("mine: model.layers.0.self_attn.extra.weight: is not among the tensors")


def test_weights_that_are_not_those_of_the_config_are_refused():
    found = refused(LLAMA | {"head_dim": 3}, "model.layers.0.self_attn.q_proj.weight")
    assert "an axis has 4 numbers, config.json speaks of 6" in found


def test_a_norm_of_keys_that_phi_may_have_is_refused():
    """It has one gain for each number of a head: signs and phases do not pass."""
    config = {**LLAMA, "architectures": ["PhiForCausalLM"]}
    assert "q_layernorm" in refused(config, "model.layers.0.self_attn.q_layernorm.weight")
