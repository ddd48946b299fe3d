"""Promises of what models cost, compared with their files and their caches."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from transformers import AutoModelForCausalLM, DeepseekV3Config, Qwen3NextConfig

from evomerge.errors import DeadlineExceeded, EvaluationError, RecipeError
from evomerge.evaluators.base import LoadedModel, make_evaluator
from evomerge.evaluators.cost import Cost
from evomerge.evaluators.kv_cache import numbers_per_token
from evomerge.evaluators.loading import load_model, outline_model
from evomerge.zoo.random_models import FAMILIES, Options, random_model
from evomerge.zoo.small_tokenizers import word_tokenizer

COUNTED = ["parameters", "bytes", "layers", "kv_cache_bytes"]
TOKENS = 5  # fewer than any window


@pytest.fixture
def make(tmp_path):
    """Makes a random model and loads it."""

    def of(family: str = "llama", **options: object) -> LoadedModel:
        tokenizer = word_tokenizer(["the", "cat"])
        sizes = Options(tokenizer=tokenizer, **options)
        folder = random_model(tmp_path / family, family, options=sizes)
        return load_model(folder, device="cpu")

    return of


def counted(model: LoadedModel) -> dict[str, float]:
    return {one.metric: one.value for one in Cost(metric="layers").evaluate(model).measures}


def in_files(folder: str) -> tuple[int, int]:
    """The numbers and the bytes of the tensors in a folder."""
    numbers = size = 0
    for file in Path(folder).glob("*.safetensors"):
        with safe_open(file, "pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118  it is no mapping
                numbers += tensors.get_tensor(name).numel()
                size += tensors.get_tensor(name).nbytes
    return numbers, size


@pytest.mark.parametrize("family", FAMILIES)
def test_parameters_and_bytes_are_those_of_the_files(make, family):
    model = make(family, dtype="bfloat16")
    found = counted(model)
    assert (found["parameters"], found["bytes"]) == in_files(model.label)
    assert found["bytes"] == 2 * found["parameters"]


@pytest.mark.parametrize("tied", [True, False])
def test_a_tied_head_costs_nothing(make, tied):
    model = make(tied=tied)
    embedding = model.model.get_input_embeddings().weight.numel()
    whole = sum(one.numel() for one in model.model.parameters())
    assert counted(model)["parameters"] == whole == in_files(model.label)[0]
    assert counted(model)["parameters"] > embedding


def test_a_layer_that_is_used_twice_costs_twice(make):
    model = make(layers=2)
    once = counted(model)
    model.model.model.layers.append(model.model.model.layers[1])
    model.model.config.num_hidden_layers = 3
    layer = sum(one.numel() for one in model.model.model.layers[1].parameters())
    twice = counted(model)
    assert twice["parameters"] == once["parameters"] + layer
    assert twice["layers"] == 3
    assert twice["kv_cache_bytes"] == once["kv_cache_bytes"] * 3 / 2


@pytest.mark.parametrize("family", FAMILIES)
def test_a_token_in_the_cache_takes_what_is_said(make, family):
    model = make(family)
    with torch.inference_mode():
        inputs = torch.arange(TOKENS)[None]
        cache = model.model(inputs, use_cache=True).past_key_values
    held = sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)
    assert counted(model)["kv_cache_bytes"] == held / TOKENS


def test_layers_with_a_state_of_one_size_keep_no_tokens():
    sizes = {"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 4}
    config = Qwen3NextConfig(**sizes, num_key_value_heads=2, head_dim=8)
    assert config.layer_types.count("full_attention") == 1
    assert numbers_per_token(config) == 2 * 2 * 8


def test_of_latent_attention_the_latent_counts():
    config = DeepseekV3Config(num_hidden_layers=3, kv_lora_rank=20, qk_rope_head_dim=4)
    assert numbers_per_token(config) == 3 * (20 + 4)


def test_one_shared_head_is_one_head(make):
    config = make("gpt2").model.config
    config.multi_query = True
    assert numbers_per_token(config) == 2 * 2 * config.hidden_size / config.num_attention_heads


def test_a_model_without_weights_costs_the_same(make):
    model = make(dtype="bfloat16")
    assert counted(outline_model(Path(model.label))) == counted(model)


@pytest.mark.parametrize("metric", COUNTED)
def test_what_is_counted_is_better_low_and_always_there(models, metric):
    evaluator = Cost(metric=metric)
    scores = evaluator.evaluate(models[0])
    assert [one.metric for one in scores.measures] == COUNTED
    assert scores.main.metric == metric
    assert not any(one.higher_is_better for one in scores.measures)
    assert evaluator.deterministic


def test_speed_is_measured_and_better_high(models):
    evaluator = Cost(metric="tokens_per_second", tokens=8, runs=3)
    scores = evaluator.evaluate(models[0])
    assert [one.metric for one in scores.measures] == [*COUNTED, "tokens_per_second"]
    assert scores.main.higher_is_better
    assert 1 < scores.main.value < 1e6
    assert not evaluator.deterministic


def test_more_layers_are_slower(make, tmp_path):
    slow = random_model(
        tmp_path / "deep", options=Options(layers=40, tokenizer=word_tokenizer(["a"]))
    )
    evaluator = Cost(metric="tokens_per_second", tokens=8)
    deep = evaluator.evaluate(load_model(slow, device="cpu")).main.value
    assert deep < evaluator.evaluate(make(layers=1)).main.value


def test_speed_counts_the_tokens_it_writes(models, monkeypatch):
    written: list[int] = []
    forward = models[0].model.forward

    def watched(inputs: torch.Tensor, **options: object) -> object:
        written.append(inputs.shape[1])
        return forward(inputs, **options)

    monkeypatch.setattr(models[0].model, "forward", watched)
    Cost(metric="tokens_per_second", tokens=6, runs=2).evaluate(models[0])
    assert written == [16] + [16, 1, 1, 1, 1, 1] * 2
    written.clear()
    Cost(metric="tokens_per_second", tokens=1000, runs=1).evaluate(models[0])
    assert sum(written[1:]) == models[0].model.config.max_position_embeddings - 1


def test_speed_stops_between_tokens(models):
    ticks: list[int] = []
    Cost(metric="tokens_per_second", tokens=4, runs=2).evaluate(
        models[0], tick=lambda: ticks.append(1)
    )
    assert len(ticks) == 2 + 2 * 4
    slow = dataclasses.replace(Cost(metric="tokens_per_second", runs=10**6), deadline=0.2)
    with pytest.raises(DeadlineExceeded):
        slow.evaluate(models[0])


def test_a_model_has_one_cost(models):
    with pytest.raises(EvaluationError, match="a model has one cost, not one for each item"):
        Cost(metric="layers").evaluate(models[0], [1])
    with pytest.raises(RecipeError, match=r"^cheap\.metric: Input should be 'parameters', 'by"):
        make_evaluator({"name": "cost", "metric": "price"}, "cheap")


def test_the_device_and_type_of_an_outline_are_named(models):
    outline = outline_model(Path(models[0].label), label="mine")
    assert (outline.label, outline.device, outline.dtype) == ("mine", "meta", "float32")
    assert isinstance(
        outline.model, AutoModelForCausalLM.from_config(outline.model.config).__class__
    )
