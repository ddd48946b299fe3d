"""What is measured of whole models, layer by layer, is what the whole model does."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.pytorch_utils import Conv1D

from evomerge.checkpoint.reader import open_checkpoint
from evomerge.checkpoint.source import open_source
from evomerge.errors import MergeError
from evomerge.measurements import kept, of_model, subject
from evomerge.measurements.kept import measurements_of
from evomerge.measurements.squares import drawn
from evomerge.measurements.texts import read_items
from evomerge.methods.measured import EMPIRICAL_FISHER, FISHER, GRAM
from evomerge.recipe import ModelReference
from tests.checkpoint.peft_adapters import trained
from tests.measurements.tiny import data, models, texts

FAMILIES = ("llama", "qwen2", "gemma2", "gpt2", "gpt_neox", "phi3")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EVOMERGE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "measurements"


def in_memory(folder):
    return (
        AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32),
        AutoTokenizer.from_pretrained(folder),
    )


def shown_to(folder, settings):
    """What goes into every linear layer, one item at a time: ``(tokens, inputs)`` by name."""
    model, tokenizer = in_memory(folder)
    shown = {}

    def keep(name):
        return lambda _, arguments: shown.setdefault(name, []).append(arguments[0][0])

    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear | Conv1D):
            module.register_forward_pre_hook(keep(name))
    with torch.no_grad():
        for item in read_items(settings, tokenizer, "it"):
            model(input_ids=torch.tensor([item]))
    return {name: torch.cat(rows).double().numpy() for name, rows in shown.items()}


@pytest.mark.parametrize("family", FAMILIES)
def test_gram_matrices_are_those_of_the_whole_model(tmp_path, family):
    one, _ = models(tmp_path, family)
    settings = data(texts(tmp_path))
    source = open_checkpoint(str(one))
    found = measurements_of(source, GRAM, settings, "cpu")
    shown = shown_to(one, settings)
    assert len(shown) >= 2 * 4
    for name, rows in shown.items():
        extended = np.column_stack([rows, np.ones(len(rows))])
        renamed = family == "gpt_neox" and f"{name}.weight" not in source.names()
        name = "embed_out" if renamed else name  # noqa: PLW2901 - as it is called on disk
        measured = found.of(f"{name}.weight")
        gram = extended.T @ extended
        np.testing.assert_allclose(measured.read(slice(None)), gram, atol=1e-4 * np.abs(gram).max())
        biased = f"{name}.bias" in source.names()
        assert (measured.partner is not None) == biased
        assert (found.of(f"{name}.bias") is not None) == biased
        outputs = source.info(f"{name}.weight").shape[family != "gpt2" or name == "lm_head"]
        assert measured.turned == (family == "gpt2" and name != "lm_head")
        assert outputs == rows.shape[1] or measured.turned


def test_layers_with_one_input_share_one_matrix(tmp_path, cache):
    one, _ = models(tmp_path)
    found = measurements_of(open_checkpoint(str(one)), GRAM, data(texts(tmp_path)), "cpu")
    entries = {name: entry["key"] for name, entry in found._tensors.items()}
    layer = "model.layers.1"
    attention = {entries[f"{layer}.self_attn.{each}_proj.weight"] for each in "qkv"}
    assert attention == {f"{layer}.self_attn.q_proj"}
    gates = {entries[f"{layer}.mlp.{each}_proj.weight"] for each in ("gate", "up")}
    assert gates == {f"{layer}.mlp.gate_proj"}
    assert len(set(entries.values())) == 2 * 4 + 1  # and the head


def test_experts_of_a_mixture_are_not_measured_and_the_rest_is(tmp_path):
    one, _ = models(tmp_path, "mixtral")
    source = open_checkpoint(str(one))
    found = measurements_of(source, GRAM, data(texts(tmp_path)), "cpu")
    assert found.of("model.layers.0.self_attn.q_proj.weight") is not None
    experts = [name for name in source.names() if ".experts." in name]
    assert experts
    assert {found.of(name) for name in experts} == {None}


def by_brute_force(folder, settings, *, empirical):
    """The definition: for every item, the gradient of the log-probability, squared; then a mean."""
    model, tokenizer = in_memory(folder)
    items = read_items(settings, tokenizer, "it")
    total = {name: torch.zeros_like(each) for name, each in model.named_parameters()}
    for number, item in enumerate(items):
        tokens = torch.tensor([item])
        model.zero_grad()
        logits = model(input_ids=tokens).logits[0, :-1]
        wanted = tokens[0, 1:] if empirical else drawn(logits, settings.seed, number)
        logits.log_softmax(-1)[torch.arange(len(wanted)), wanted].sum().backward()
        for name, each in model.named_parameters():
            total[name] += each.grad.square()
    return {name: (each / len(items)).numpy() for name, each in total.items()}


@pytest.mark.parametrize("family", ["llama", "gpt2"])
@pytest.mark.parametrize("kind", [FISHER, EMPIRICAL_FISHER])
def test_fisher_information_is_as_it_is_defined(tmp_path, family, kind):
    one, _ = models(tmp_path, family, tied=family == "llama")
    settings = data(texts(tmp_path))
    found = measurements_of(open_checkpoint(str(one)), kind, settings, "cpu")
    expected = by_brute_force(one, settings, empirical=kind == EMPIRICAL_FISHER)
    norm = sum(float(np.square(each).sum()) for each in expected.values()) ** 0.5
    for name, each in expected.items():
        measured = found.of(name)
        grid = each.reshape(-1, each.shape[-1])
        np.testing.assert_allclose(measured.read(slice(0, None)), grid, rtol=1e-3, atol=1e-6 * norm)
        np.testing.assert_allclose(measured.norm, norm, rtol=1e-5)


def test_an_adapter_is_measured_with_its_model(tmp_path):
    one, _ = models(tmp_path)
    adapter = trained(tmp_path / "lora", one, target_modules=["q_proj", "v_proj"], r=2)
    settings = data(texts(tmp_path))
    plain = measurements_of(open_checkpoint(str(one)), GRAM, settings, "cpu")
    reference = ModelReference(str(one), adapter=str(adapter))
    changed = measurements_of(open_source(reference), GRAM, settings, "cpu")
    name = "model.layers.1.mlp.down_proj.weight"
    one_gram, other_gram = (each.of(name).read(slice(None)) for each in (plain, changed))
    assert np.abs(one_gram - other_gram).max() > 1e-3 * np.abs(one_gram).max()


def test_a_model_is_measured_once(tmp_path, monkeypatch, cache):
    one, other = models(tmp_path)
    settings = data(texts(tmp_path))
    measure, measured = of_model.measure, []

    def counted(source, *rest):
        measured.append(source.label)
        measure(source, *rest)

    monkeypatch.setattr(of_model, "measure", counted)
    for _ in range(2):
        measurements_of(open_checkpoint(str(one)), GRAM, settings, "cpu")
    assert measured == ["one"]
    measurements_of(open_checkpoint(str(other)), GRAM, settings, "cpu")
    measurements_of(open_checkpoint(str(one)), FISHER, settings, "cpu")
    measurements_of(open_checkpoint(str(one)), GRAM, data(settings.file, length=5), "cpu")
    texts(tmp_path, seed=1)
    measurements_of(open_checkpoint(str(one)), GRAM, settings, "cpu")
    assert measured == ["one", "other", "one", "one", "one"]
    assert len(list(cache.iterdir())) == 5


def test_what_was_begun_and_not_finished_leaves_nothing(tmp_path, monkeypatch, cache):
    one, _ = models(tmp_path)
    monkeypatch.setattr(of_model.Writing, "finish", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        measurements_of(open_checkpoint(str(one)), GRAM, data(texts(tmp_path)), "cpu")
    assert list(cache.iterdir()) == []


def test_layers_that_do_not_follow_each_other_are_refused(tmp_path, monkeypatch):
    one, _ = models(tmp_path)
    load = subject.load_weights

    def skipping(*arguments, **options):
        model = load(*arguments, **options)
        last = model.model.layers[-1]
        last.register_forward_hook(lambda module, _, out: out * next(counter))
        return model

    counter = iter([1.0, 1.0, 2.0, 2.0])
    monkeypatch.setattr(subject, "load_weights", skipping)
    with pytest.raises(MergeError, match="one: its layers do not simply follow each other"):
        measurements_of(open_checkpoint(str(one)), GRAM, data(texts(tmp_path)), "cpu")


def test_the_cache_must_be_writable(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("EVOMERGE_CACHE", str(tmp_path / "file"))
    one, _ = models(tmp_path)
    with pytest.raises(kept.OutputError, match="EVOMERGE_CACHE"):
        measurements_of(open_checkpoint(str(one)), GRAM, data(texts(tmp_path)), "cpu")
