"""Promises of lesions: what is left out adds nothing, and nothing else changes."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import pytest
import torch
import transformers
from torch import Tensor

from evomerge.api import merge
from evomerge.errors import EvaluationError
from evomerge.evaluators.base import Evaluator, LoadedModel, make_evaluator
from evomerge.evaluators.scores import UNFILTERED, Measure, Scores
from evomerge.inspection.lesions import lesion_study, without
from evomerge.inspection.parts import layers_of
from evomerge.recipe import Recipe
from tests.inspection.models import KINDS, OPTIONS, TEXT, load, logits, made

LAYER = 2
PARTS = ("attention", "mlp")

# What writes to the stream, and the number with which it writes nothing: weights, and the gains of
# norms behind the parts, of which Gemma's are stored as their difference from 1.
PROJECTIONS = {"attention": "self_attn.o_proj", "mlp": "mlp.down_proj"}
NORMS = {"attention": "post_attention_layernorm", "mlp": "post_feedforward_layernorm"}
EXPERTS = {"attention": "self_attn.o_proj", "mlp": "mlp.experts.down_proj"}
WRITERS = {
    "llama": (PROJECTIONS, 0),
    "mistral": (PROJECTIONS, 0),
    "qwen2": (PROJECTIONS, 0),
    "qwen3": (PROJECTIONS, 0),
    "gemma2": (NORMS, -1),
    "gemma3": (NORMS, -1),
    "olmo2": (NORMS, 0),
    "gpt2": ({"attention": "attn.c_proj", "mlp": "mlp.c_proj"}, 0),
    "gpt_neox": ({"attention": "attention.dense", "mlp": "mlp.dense_4h_to_h"}, 0),
    "phi3": (PROJECTIONS, 0),
    "mixtral": (EXPERTS, 0),
    "qwen3_moe": (EXPERTS, 0),
}
# More ways to add up a layer: parts that add the stream themselves, and both parts side by side.
OTHERS = {
    "Bloom": {"attention": "self_attention.dense", "mlp": "mlp.dense_4h_to_h"},
    "Falcon": {"attention": "self_attention.dense", "mlp": "mlp.dense_4h_to_h"},
    "GPTJ": {"attention": "attn.out_proj", "mlp": "mlp.fc_out"},
    "Phi": {"attention": "self_attn.dense", "mlp": "mlp.fc2"},
    "Cohere": PROJECTIONS,
    "OPT": {"attention": "self_attn.out_proj"},
}
SIZES = {
    **dict.fromkeys(("hidden_size", "ffn_dim", "word_embed_proj_dim"), 32),
    **dict.fromkeys(("num_hidden_layers", "n_layer"), 4),
    **dict.fromkeys(("num_attention_heads", "n_head"), 4),
    **dict.fromkeys(("vocab_size", "max_position_embeddings"), 16),
    **dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id"), 0),
    "intermediate_size": 48,
    "num_key_value_heads": 2,
    "rotary_dim": 4,
    "initializer_range": 0.1,
}


@pytest.fixture(params=KINDS, scope="module")
def kind(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def model(kind: str, module_folder: Path) -> LoadedModel:
    return load(made(module_folder / kind, kind))


def silenced(loaded: LoadedModel, writer: str, number: float) -> LoadedModel:
    """A copy whose layer `LAYER` has ``number`` for everything in ``writer``."""
    copied = deepcopy(loaded.model)
    chosen = [p for n, p in copied.named_parameters() if f".{LAYER}.{writer}" in n]
    assert chosen
    for parameter in chosen:
        parameter.fill_(number)
    return replace(loaded, model=copied)


def other(kind: str) -> LoadedModel:
    config = getattr(transformers, f"{kind}Config")()
    for name, value in SIZES.items():
        if hasattr(config, name):
            setattr(config, name, value)
    torch.manual_seed(0)
    made = transformers.AutoModelForCausalLM.from_config(config).eval().requires_grad_(False)
    made.config.architectures = [type(made).__name__]
    for parameter in made.parameters():
        parameter.add_(0.1 * torch.randn_like(parameter))
    return LoadedModel(made, None, kind)


def lesioned(loaded: LoadedModel, part: str) -> Tensor:
    with without(getattr(layers_of(loaded)[LAYER], part), whole=part == "whole"):
        return logits(loaded)


@pytest.mark.parametrize("part", PARTS)
def test_a_part_is_left_out_as_if_it_wrote_zero(kind, model, part):
    names, number = WRITERS[kind]
    expected = logits(silenced(model, names[part], number))
    assert torch.equal(lesioned(model, part), expected)
    assert not torch.equal(expected, logits(model))


@pytest.mark.parametrize(("kind", "part"), [(k, p) for k, p in product(OTHERS, PARTS)])
def test_so_it_is_in_layers_that_add_up_in_other_ways(kind, part):
    loaded = other(kind)
    if part not in OTHERS[kind]:
        assert getattr(layers_of(loaded)[LAYER], part) is None
        return
    expected = logits(silenced(loaded, OTHERS[kind][part], 0))
    assert torch.equal(lesioned(loaded, part), expected)
    assert not torch.equal(expected, logits(loaded))


def test_a_layer_is_left_out_as_a_stack_leaves_it_out(kind, model, tmp_path):
    ranges = ([0, LAYER], [LAYER + 1, OPTIONS.layers])
    slices = [{"sources": [{"model": model.label, "layer_range": each}]} for each in ranges]
    recipe = Recipe.from_tree({"merge_method": "passthrough", "slices": slices})
    shorter = load(merge(recipe, tmp_path / "shorter"))
    if kind.startswith("gemma"):  # whose layers see far, or not, by turns: that stays as it was
        assert shorter.model.config.layer_types[LAYER] == model.model.config.layer_types[LAYER + 1]
    assert torch.equal(lesioned(model, "whole"), logits(shorter))


def test_a_layer_without_both_parts_hands_on_the_stream(kind, model):
    layer = layers_of(model)[LAYER]
    with without(layer.attention, whole=False), without(layer.mlp, whole=False):
        silent = logits(model)
    assert torch.equal(silent, lesioned(model, "whole"))


@pytest.mark.parametrize("part", ["whole", *PARTS])
def test_a_cache_makes_no_difference(model, part):
    prompt = torch.tensor([[1, 3, 4, 5]])
    settings = {"max_new_tokens": 6, "do_sample": False, "eos_token_id": None}
    with without(getattr(layers_of(model)[0], part), whole=part == "whole"):
        found = [model.model.generate(prompt, use_cache=c, **settings) for c in (True, False)]
    assert torch.equal(*found)


@dataclass(frozen=True, kw_only=True)
class Loudest(Evaluator):
    """The largest logit."""

    folder_wanted: bool = False

    def score(self, model, items, tick):
        tick()
        if self.folder_wanted:
            model.written()
        value = float(logits(model).max())
        main = Measure("loudness", "loudest", UNFILTERED, value, True, 1)
        return Scores((main, replace(main, metric="other")), main)


def test_a_study_scores_the_model_without_each_part(tmp_path):
    loaded = load(made(tmp_path / "model"))
    before, ticks = logits(loaded), []
    (study,) = lesion_study(loaded, [Loudest()], tick=lambda: ticks.append(1))
    assert len(ticks) == 3 * OPTIONS.layers + 1
    assert (study.task, study.metric, study.items) == ("loudness", "loudest", 1)
    assert study.intact == float(before.max())
    assert len(study.without) == OPTIONS.layers
    for part in ("whole", *PARTS):
        assert study.without[LAYER][part] == float(lesioned(loaded, part).max())
    assert torch.equal(logits(loaded), before)


def test_a_study_knows_the_bits_of_a_text(tmp_path):
    (tmp_path / "prose.txt").write_text("\n".join(TEXT))
    bits = make_evaluator({"name": "perplexity", "file": str(tmp_path / "prose.txt")})
    loaded = load(made(tmp_path / "model"))
    bits_without, loudness = lesion_study(loaded, [bits, Loudest()])
    silent = bits.evaluate(silenced(loaded, "mlp.down_proj", 0)).main
    assert bits_without.without[LAYER]["mlp"] == pytest.approx(silent.value, rel=1e-9)
    assert not bits_without.higher_is_better
    assert loudness.higher_is_better


def test_a_part_that_a_layer_lacks_has_no_score():
    (study,) = lesion_study(other("OPT"), [Loudest()])
    assert [set(each) for each in study.without] == [{"whole", "attention"}] * OPTIONS.layers


def test_an_evaluator_that_fails_leaves_the_model_as_it_was(tmp_path):
    loaded = load(made(tmp_path / "model"))
    before = logits(loaded)
    with pytest.raises(ZeroDivisionError), without(layers_of(loaded)[0].whole, whole=True):
        raise ZeroDivisionError
    assert torch.equal(logits(loaded), before)


def test_an_evaluator_that_wants_a_folder_is_told_that_there_is_none(tmp_path):
    loaded = load(made(tmp_path / "model"))
    with pytest.raises(EvaluationError, match="in memory only, in no folder"):
        lesion_study(loaded, [Loudest(folder_wanted=True)])
