"""The residual stream is rotated where that is a symmetry, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from evomerge.aligners.base import Pair, Settings, align
from evomerge.alignment.checking import logits_of
from evomerge.alignment.elements import Units, compose, invert, is_exact
from evomerge.alignment.folding import STREAM, folded, turned
from evomerge.alignment.known import SYMMETRIES
from evomerge.alignment.live import layout_of_model, move_model
from evomerge.alignment.rotations import Rotation
from evomerge.alignment.writing import write_moved
from evomerge.checkpoint.reader import open_checkpoint
from evomerge.errors import AlignmentError
from evomerge.zoo.random_models import fine_tuned, random_model
from tests.alignment.kinds import DECLARED, in_memory
from tests.alignment.planting import random_rotation, reader, with_gains
from tests.alignment.test_symmetries import weights

TURNED = ("Llama", "Mistral", "Qwen2", "Qwen3", "Gemma", "Phi-3")
KINDS = (*(DECLARED[name] for name in TURNED), "llama_biases")
ROTATION = Settings("procrustes")


def test_the_families_that_turn_are_declared():
    assert {name for name, symmetry in SYMMETRIES.items() if symmetry.norms} == set(TURNED)


def prepared(folder, dtype=torch.float64):
    model = in_memory(folder, dtype)
    return with_gains(model, layout_of_model(model))


@pytest.mark.parametrize("kind", KINDS)
def test_rotations_change_no_logits(kind, folders):
    for dtype, tolerance in ((torch.float32, 1e-5), (torch.float64, 1e-10)):
        model = prepared(folders(kind), dtype)
        before = weights(model)
        assert move_model(model, random_rotation(layout_of_model(model), model, 0)) <= tolerance
        assert not torch.allclose(weights(model), before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", KINDS)
def test_planted_rotations_are_recovered(kind, dtype, folders):
    """With neurons, heads and gauges at once, and with the anchor's gains."""
    anchor, source = prepared(folders(kind), dtype), prepared(folders(kind), dtype)
    layout = layout_of_model(anchor)
    move_model(source, random_rotation(layout, source, 1))
    found = align(Pair(layout, reader(anchor), reader(source)), ROTATION)
    move_model(source, found.element)
    margin = {torch.float32: 1e-6, torch.float64: 1e-12}[dtype]
    assert {fit.group for fit in found.fits if fit.error > margin} == set()
    for original, back in zip(anchor.parameters(), source.parameters(), strict=True):
        torch.testing.assert_close(back, original, rtol=0, atol=margin)


@pytest.mark.parametrize("kind", ["llama", "gemma"])
def test_an_inverse_undoes_and_rotations_compose(kind, folders):
    model, twice = prepared(folders(kind)), prepared(folders(kind))
    layout, original = layout_of_model(model), weights(model)
    first = random_rotation(layout, model, 1)
    move_model(model, first)
    second = random_rotation(layout, model, 2)
    move_model(model, second)
    move_model(twice, compose(second, first))
    torch.testing.assert_close(weights(model), weights(twice), atol=1e-12, rtol=0)
    move_model(twice, invert(compose(second, first)))
    torch.testing.assert_close(weights(twice), original, atol=1e-12, rtol=0)


@pytest.mark.parametrize("permuted_first", [True, False])
def test_a_rotation_and_a_permutation_are_a_rotation(permuted_first, folders):
    model, twice = prepared(folders("gemma")), prepared(folders("gemma"))
    random = np.random.default_rng(0)
    signs = random.choice([-1.0, 1.0], 32)
    permutation = {STREAM: Units(random.permutation(32), signs)}
    if permuted_first:
        move_model(model, permutation)
    rotation = random_rotation(layout_of_model(model), model, 1)
    move_model(model, rotation)
    pair = (rotation, permutation) if permuted_first else (permutation, rotation)
    if not permuted_first:
        move_model(model, permutation)
    whole = compose(*pair)
    assert isinstance(whole[STREAM], Rotation)
    assert not is_exact(whole)
    move_model(twice, whole)
    torch.testing.assert_close(weights(model), weights(twice), atol=1e-12, rtol=0)


def test_gains_of_zero_are_folded_away(folders):
    """What reads behind them comes to read nothing; the anchor's gains are not 0."""
    anchor, source = prepared(folders("llama")), prepared(folders("llama"))
    with torch.no_grad():
        source.model.norm.weight[3] = 0
    found = align(Pair(layout_of_model(anchor), reader(anchor), reader(source)), ROTATION)
    assert move_model(source, found.element) <= 1e-10
    torch.testing.assert_close(source.model.norm.weight, anchor.model.norm.weight)


@pytest.mark.parametrize("groups", [[STREAM], ["residual", "neurons"]])
def test_strangers_come_nearer(groups, tmp_path):
    anchor, source = (in_memory(random_model(tmp_path / str(n), "qwen2", seed=n)) for n in (0, 1))
    pair = Pair(layout_of_model(anchor), reader(anchor), reader(source))
    turned_, permuted = (align(pair, Settings(m, groups)) for m in ("procrustes", "zipper"))
    assert set(turned_.element) == set(permuted.element)
    assert all(fit.after > fit.before for fit in turned_.fits)
    assert turned_.fits[0].after > permuted.fits[0].after
    before = logits_of(source)
    assert move_model(source, turned_.element) <= 1e-10
    torch.testing.assert_close(logits_of(source), before)


def test_siblings_are_left_alone(tmp_path):
    base = random_model(tmp_path / "base")
    models = [fine_tuned(tmp_path / str(seed), base, seed=seed, noise=0.02) for seed in (1, 2)]
    anchor, source = map(in_memory, models)
    found = align(Pair(layout_of_model(anchor), reader(anchor), reader(source)), ROTATION)
    assert found.siblings
    assert found.element == {}
    assert all(fit.before == fit.after and not fit.moved for fit in found.fits)


@pytest.mark.parametrize("kind", ["llama", "gemma"])
def test_a_folder_is_written(kind, folders, tmp_path):
    model = in_memory(folders(kind), torch.float32)
    element = random_rotation(layout_of_model(model), model, 0)
    with open_checkpoint(str(folders(kind))) as source:
        assert write_moved(source, element, tmp_path / "out") <= 1e-5


def test_sixteen_bits_become_thirty_two(folders, tmp_path):
    model = in_memory(folders("llama", dtype="bfloat16"), torch.float32)
    element = {STREAM: random_rotation(layout_of_model(model), model, 0)[STREAM]}
    with open_checkpoint(str(folders("llama", dtype="bfloat16"))) as source:
        assert write_moved(source, element, tmp_path / "out") <= 1e-5


def test_gains_by_hand(folders):
    """A fold is undone by giving the gains back, and nothing else changes."""
    model = prepared(folders("gemma"))
    original = weights(model)
    layout = turned(layout_of_model(model), reader(model))
    fold = folded(layout, reader(model))
    move_model(model, {STREAM: fold})
    assert torch.equal(model.model.norm.weight, torch.zeros(32))
    move_model(model, {STREAM: fold.inverse()})
    torch.testing.assert_close(weights(model), original, atol=1e-14, rtol=0)


NOT_TURNED = {
    "gpt2": "GPT2LMHeadModel: is GPT-2, whose norms subtract a mean",
    "gpt_neox": "GPTNeoXForCausalLM: is GPT-NeoX, whose norms subtract a mean",
    "phi": "PhiForCausalLM: is Phi-1/2, whose norms subtract a mean",
    "gemma2": "Gemma2ForCausalLM: is Gemma 2, which has norms behind what it writes",
    "gemma3": "Gemma3ForCausalLM: is Gemma 3, which has norms behind what it writes",
    "olmo2": "Olmo2ForCausalLM: is OLMo 2, which has norms behind what it writes",
}


def test_all_others_are_refused_by_name():
    assert {DECLARED[name] for name in SYMMETRIES} == {*NOT_TURNED, *KINDS[:-1]}


@pytest.mark.parametrize("kind", NOT_TURNED)
def test_what_does_not_turn_is_refused_by_name(kind, folders):
    model = in_memory(folders(kind))
    with pytest.raises(AlignmentError, match=NOT_TURNED[kind]):
        turned(layout_of_model(model), reader(model))


def test_a_tied_head_is_refused(folders):
    model = in_memory(folders("llama", tied=True))
    with pytest.raises(AlignmentError, match="LlamaForCausalLM: its head is tied"):
        turned(layout_of_model(model), reader(model))


def test_a_gain_of_the_anchor_that_is_zero_is_refused(folders):
    model = prepared(folders("gemma"))
    with torch.no_grad():
        model.model.layers[1].input_layernorm.weight[5] = -1
    with pytest.raises(AlignmentError, match=r"input_layernorm.weight: gain 5 of the anchor is 0;"):
        turned(layout_of_model(model), reader(model))


def test_groups_without_the_stream_are_refused(folders):
    model = in_memory(folders("llama"))
    pair = Pair(layout_of_model(model), reader(model), reader(model))
    with pytest.raises(AlignmentError, match="groups: lack 'residual', which is what is rotated"):
        align(pair, Settings("procrustes", ["neurons"]))
