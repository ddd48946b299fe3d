"""Promises of a middle whose layers run side by side."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel

from evomerge.api import merge
from evomerge.errors import EvaluationError
from evomerge.evaluators.base import LoadedModel
from evomerge.inspection.parallel import side_by_side
from evomerge.recipe import Recipe
from tests.stacks.families import loaded, made

TOKENS = torch.arange(3, 11).reshape(1, 8)
# Of several masks, of streams that are handed on beside other things, of caches by other names.
KINDS = ("llama", "gemma3", "gpt2", "gpt_neox", "mixtral", "falcon")


@pytest.fixture(scope="module", params=KINDS)
def model(module_folder: Path, request) -> LoadedModel:
    folder = made(module_folder / request.param, request.param)
    return LoadedModel(loaded(folder), None, "model")


@pytest.fixture(scope="module")
def llama(module_folder: Path) -> LoadedModel:
    return LoadedModel(loaded(made(module_folder / "another", "llama")), None, "model")


def logits(model: PreTrainedModel) -> Tensor:
    with torch.no_grad():
        return model(TOKENS).logits


def text(model: PreTrainedModel, *, use_cache: bool) -> list[int]:
    settings = {"max_new_tokens": 4, "do_sample": False, "pad_token_id": 0, "eos_token_id": None}
    return model.generate(TOKENS, use_cache=use_cache, **settings).tolist()


def test_the_mean_of_what_they_hand_on_goes_on(llama):
    inner = llama.model.model
    places = torch.arange(8).reshape(1, 8)
    with torch.no_grad():
        stream = inner.embed_tokens(TOKENS)
        rotary = inner.rotary_emb(stream, places)
        first, second, third, last = (
            lambda x, layer=layer: layer(x, position_embeddings=rotary) for layer in inner.layers
        )
        stream = first(stream)
        stream = (second(stream) + third(stream)) / 2
        once = llama.model.lm_head(inner.norm(last(stream)))
        stream = (second(stream) + third(stream)) / 2
        twice = llama.model.lm_head(inner.norm(last(stream)))
    with side_by_side(llama, range(1, 3)) as changed:
        assert torch.allclose(logits(changed.model), once, atol=1e-5)
    with side_by_side(llama, range(1, 3), 2) as changed:
        assert torch.allclose(logits(changed.model), twice, atol=1e-5)
    assert not torch.allclose(once, twice, atol=1e-3)


def test_one_layer_beside_itself_is_the_model(model):
    before = logits(model.model)
    with side_by_side(model, range(2, 3)) as changed:
        assert torch.equal(logits(changed.model), before)


def test_the_model_is_as_it_was_afterwards(model):
    before, written = logits(model.model), text(model.model, use_cache=True)
    with side_by_side(model, range(1, 4), 2) as changed:
        assert not torch.allclose(logits(changed.model), before, atol=1e-3)
    assert torch.equal(logits(model.model), before)
    assert text(model.model, use_cache=True) == written


@pytest.mark.parametrize("loops", [1, 3])
def test_the_cache_changes_nothing(model, loops):
    with side_by_side(model, range(1, 3), loops) as changed:
        assert text(changed.model, use_cache=True) == text(changed.model, use_cache=False)


def test_a_looped_layer_is_a_stack_that_repeats_it(tmp_path):
    """Three passes are three places in the cache of such a model, and none in ours."""
    folder = made(tmp_path / "model", "gemma3")
    model = LoadedModel(loaded(folder), None, "model")
    model_of_stack = loaded(repeated_twice_more(folder, tmp_path / "stack"))
    with side_by_side(model, range(1, 2), 3) as changed:
        assert torch.allclose(logits(changed.model), logits(model_of_stack), atol=1e-5)
        assert text(changed.model, use_cache=True) == text(model_of_stack, use_cache=True)


def repeated_twice_more(folder: Path, out: Path) -> Path:
    slices = [[0, 2], [1, 2], [1, 4]]
    sources = [{"sources": [{"model": str(folder), "layer_range": each}]} for each in slices]
    return merge(Recipe.from_tree({"merge_method": "passthrough", "slices": sources}), out)


def test_nothing_can_be_written_of_it(llama):
    with side_by_side(llama, range(1, 3), 2) as changed:
        assert changed.label == "model with layers 1 to 2 side by side, 2 times"
        with pytest.raises(EvaluationError, match="no folder of this model"):
            changed.written()


@pytest.mark.parametrize(
    ("middle", "loops"), [(range(3, 5), 1), (range(2, 2), 1), (range(-1, 2), 1), (range(1, 3), 0)]
)
def test_what_cannot_run_is_refused(llama, middle, loops):
    with (
        pytest.raises(EvaluationError, match="there are 4 layers"),
        side_by_side(llama, middle, loops),
    ):
        pass
