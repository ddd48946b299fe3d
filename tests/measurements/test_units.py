"""What units do, layer by layer, is what they do in the whole model."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from evomerge.alignment.declared import layout_of
from evomerge.alignment.drawing import random_element
from evomerge.alignment.writing import write_moved
from evomerge.checkpoint.reader import open_checkpoint
from evomerge.checkpoint.source import open_source
from evomerge.errors import MergeError
from evomerge.measurements.probe import probe_tokens
from evomerge.measurements.units import unit_activations
from evomerge.recipe import ModelReference
from tests.alignment.kinds import DECLARED, model_folder
from tests.checkpoint.peft_adapters import trained
from tests.measurements.tiny import data, models, texts

TOKENS = torch.randint(60, (3, 7), generator=torch.Generator().manual_seed(0))


def layout_in(source):
    shapes = {name: source.info(name).shape for name in source.names()}
    return layout_of(source.config, shapes, source.label)


def activations_in(folder, tokens=TOKENS):
    source = open_checkpoint(str(folder))
    return list(unit_activations(source, tokens, layout_in(source).readers()))


@pytest.mark.parametrize("kind", [*DECLARED.values(), "gpt_neox_sequential"])
def test_they_are_what_the_whole_model_computes(tmp_path, kind):
    folder = model_folder(tmp_path / "model", kind)
    found = activations_in(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    readers = layout_in(open_checkpoint(str(folder))).readers()
    shown = {}
    names = {name.split(".", 1)[1]: module for name, module in model.named_modules() if "." in name}
    for group, name in readers.items():
        module = names[name.split(".", 1)[1].removesuffix(".weight")]
        module.register_forward_pre_hook(
            lambda _, arguments, group=group: shown.setdefault(group, arguments[0])
        )
    with torch.no_grad():
        states = model(input_ids=TOKENS, output_hidden_states=True).hidden_states
    layers = len(states) - 1
    order = [name for name, _ in found]
    assert order[0] == "residual"
    for layer in range(layers):
        here = order[1 + 3 * layer : 4 + 3 * layer]
        assert here == [f"heads.{layer}", f"neurons.{layer}", "residual"]
    # transformers lists the last state behind the last norm.
    streams = [rows for name, rows in found if name == "residual"]
    for mine, theirs in zip(streams[:-1], states[:-1], strict=True):
        np.testing.assert_allclose(mine, theirs.reshape(21, -1), atol=1e-5)
    for name, rows in found:
        assert rows.dtype == np.float32
        if name != "residual":
            np.testing.assert_allclose(rows, shown[name].reshape(21, -1), atol=1e-5)


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_a_model_that_was_moved_has_the_same_units_elsewhere(tmp_path, kind):
    folder = model_folder(tmp_path / "model", kind)
    source = open_checkpoint(str(folder))
    layout = layout_in(source).only(["residual", "neurons"])
    element = random_element(layout, 0)
    write_moved(source, element, tmp_path / "moved")
    pairs = zip(activations_in(folder), activations_in(tmp_path / "moved"), strict=True)
    for (name, mine), (again, theirs) in pairs:
        assert name == again
        if name in element:
            move = element[name]
            np.testing.assert_allclose(theirs, mine[:, move.order] * move.scales, atol=1e-4)


def test_the_adapter_of_a_model_takes_part(tmp_path):
    one, _ = models(tmp_path)
    adapter = trained(tmp_path / "lora", one, target_modules=["up_proj"], r=2)
    sources = [
        open_checkpoint(str(one)),
        open_source(ModelReference(str(one), adapter=str(adapter))),
    ]
    readers = {"neurons.1": "model.layers.1.mlp.down_proj.weight"}
    plain, changed = (dict(unit_activations(each, TOKENS % 8, readers)) for each in sources)
    assert set(plain) == {"residual", "neurons.1"}
    assert not np.allclose(plain["neurons.1"], changed["neurons.1"])


def test_what_is_not_finite_is_refused(tmp_path):
    folder = model_folder(tmp_path / "model", "llama")
    tensors = load_file(folder / "model.safetensors")
    tensors["model.layers.1.mlp.up_proj.weight"][3] = torch.inf
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(MergeError, match=r"model: neurons.1: holds NaN or infinity on this text"):
        activations_in(folder)


def test_a_reader_must_be_in_memory(tmp_path):
    folder = model_folder(tmp_path / "model", "llama")
    readers = {"odd": "model.layers.0.mlp.experts.weight"}
    with pytest.raises(MergeError, match=r"layers.0.mlp.experts.weight: transformers does not"):
        list(unit_activations(open_checkpoint(str(folder)), TOKENS, readers))


def test_a_probe_is_cut_from_a_file(tmp_path):
    one, _ = models(tmp_path)
    source = open_checkpoint(str(one))
    lines = probe_tokens(source, data(texts(tmp_path), items=3, length=6))
    assert lines.shape == (3, 6)
    assert lines.dtype == torch.int64
    whole = probe_tokens(source, data(texts(tmp_path), items=1, length=18))
    assert (whole.reshape(3, 6) == lines).all()


def test_a_model_that_reads_little_at_once_gets_more_and_shorter_texts(tmp_path):
    one, _ = models(tmp_path)
    source = open_checkpoint(str(one))
    (tmp_path / "long.txt").write_text("the cat sat on a mat " * 100, "utf-8")
    assert probe_tokens(source, data(tmp_path / "long.txt", items=2, length=99)).shape == (3, 64)
    with pytest.raises(MergeError, match=r"texts.jsonl: \d+ tokens of one, and 576 are asked for"):
        probe_tokens(source, data(texts(tmp_path), length=99))


def test_without_a_file_the_text_of_python_is_the_probe(tmp_path):
    one, _ = models(tmp_path)
    found = probe_tokens(open_checkpoint(str(one)))
    assert found.shape == (32, 64)
    assert (found == probe_tokens(open_checkpoint(str(one)))).all()
    assert len(found.unique()) > 40
