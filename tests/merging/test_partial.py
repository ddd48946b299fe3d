"""Promises for tensors that only some models have, and for tensors of whole numbers."""

from __future__ import annotations

import numpy as np
import pytest

from evomerge.errors import MergeError
from tests.merging.tiny import llama, merged, model, of_layer, recipe, tuned

BIAS = of_layer(0, "self_attn.q_proj.bias")
MASK = of_layer(0, "self_attn.mask")


@pytest.fixture
def models(tmp_path):
    """``models("bias", "plain", ...)``: folders of fine-tunes with and without a bias."""
    base = llama(0)

    def make(*kinds):
        folders, tensors = [], []
        for seed, kind in enumerate(kinds):
            own = tuned(base, seed)
            if kind == "bias":
                own[BIAS] = np.full(6, seed + 1.0, np.float32)
            folders.append(model(tmp_path / f"{kind}-{seed}", own))
            tensors.append(own)
        return folders, tensors

    return make


def test_the_models_that_have_a_bias_are_merged(models):
    folders, _ = models("bias", "plain", "bias")
    found = merged(recipe("linear", *folders, weight=1))
    np.testing.assert_array_equal(found[BIAS], np.full(6, 2.0))


QWEN = {"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2"}


@pytest.mark.parametrize("method", ["linear", "ties"])
def test_a_bias_that_the_architecture_always_has_must_be_everywhere(tmp_path, method):
    bias = {BIAS: np.ones(6, np.float32)}
    folders = [
        model(tmp_path / str(s), llama(s) | (bias if s < 2 else {}), **QWEN) for s in range(3)
    ]
    with pytest.raises(MergeError, match=rf"^{BIAS}: 2 has no such tensor; models must have"):
        merged(recipe(method, *folders[1:], base=folders[0], weight=1))


def test_their_own_weights_count(models):
    folders, _ = models("plain", "bias", "bias")
    tree = recipe("linear", *folders)
    for entry, weight in zip(tree["models"], (5, 1, 3), strict=True):
        entry["parameters"] = {"weight": weight}
    np.testing.assert_array_equal(merged(tree)[BIAS], np.full(6, (2 + 3 * 3) / 4))


def test_their_masks_are_those_of_their_place_in_the_recipe(models):
    folders, _ = models("bias", "bias", "plain", "bias")
    options = {"weight": 1, "density": 0.5, "rescale": False, "seed": 3}
    all_but_one = merged(recipe("dare_linear", *folders[1:], base=folders[0], **options))
    others = [folders[1], folders[3], folders[2]]
    moved = merged(recipe("dare_linear", *others, base=folders[0], **options))
    assert not np.array_equal(all_but_one[BIAS], moved[BIAS])


def test_task_vectors_need_the_bias_of_the_base(models):
    folders, _ = models("plain", "bias", "bias")
    with pytest.raises(MergeError, match=rf"^{BIAS}: only bias-1, bias-2 has.*the base and"):
        merged(recipe("ties", *folders[1:], base=folders[0], weight=1))


@pytest.mark.parametrize("method", ["ties", "task_arithmetic", "model_stock"])
def test_a_bias_of_the_base_alone_stays(models, method):
    folders, _ = models("bias", "plain", "plain")
    weights = {} if method == "model_stock" else {"weight": 1}
    found = merged(recipe(method, *folders[1:], base=folders[0], **weights))
    np.testing.assert_array_equal(found[BIAS], np.full(6, 1.0))


def test_model_stock_leaves_out_what_too_few_have(models):
    folders, _ = models("bias", "bias", "plain")
    assert BIAS not in merged(recipe("model_stock", *folders[1:], base=folders[0]))


@pytest.mark.parametrize("first", [0, 1])
def test_slerp_lets_a_lone_bias_pass(models, first):
    folders, _ = models("bias", "plain")
    found = merged(recipe("slerp", *folders, base=folders[first], t=0.3))
    np.testing.assert_array_equal(found[BIAS], np.full(6, 1.0))


def test_linear_takes_even_a_single_one(models):
    folders, _ = models("plain", "bias")
    np.testing.assert_array_equal(
        merged(recipe("linear", *folders, weight=1))[BIAS], np.full(6, 2.0)
    )


def with_mask(folder, numbers, seed=0):
    return model(folder, llama(seed) | {MASK: np.array(numbers)})


@pytest.mark.parametrize("method", ["linear", "ties"])
def test_whole_numbers_are_copied(tmp_path, method):
    numbers = [[1, 0], [1, 1]]
    folders = [with_mask(tmp_path / str(seed), numbers, seed) for seed in range(3)]
    found = merged(recipe(method, *folders[1:], base=folders[0], weight=1, dtype="bfloat16"))
    assert found[MASK].dtype == np.int64
    np.testing.assert_array_equal(found[MASK], numbers)


def test_whole_numbers_must_agree(tmp_path):
    a = with_mask(tmp_path / "a", [1, 2, 3])
    b = with_mask(tmp_path / "b", [1, 2, 4])
    message = rf"^{MASK}: a and b hold different numbers"
    with pytest.raises(MergeError, match=message):
        merged(recipe("linear", a, b, weight=1))


def test_whole_numbers_are_not_merged_with_floats(tmp_path):
    a = with_mask(tmp_path / "a", [1, 2, 3])
    b = with_mask(tmp_path / "b", np.array([1.0, 2.0, 3.0], np.float32))
    with pytest.raises(MergeError, match=rf"^{MASK}: whole numbers in some"):
        merged(recipe("linear", a, b, weight=1))


def test_flags_are_whole_numbers(tmp_path):
    folders = [with_mask(tmp_path / name, np.array([True, False])) for name in "ab"]
    found = merged(recipe("linear", *folders, weight=1))
    assert found[MASK].tolist() == [True, False]


@pytest.mark.parametrize("shape", [(0,), (0, 4), (4, 0), (2, 0, 3)])
@pytest.mark.parametrize("method", ["linear", "ties", "dare_ties", "della", "model_stock"])
def test_a_tensor_of_nothing_stays_nothing(tmp_path, method, shape):
    empty = np.zeros(shape, np.float32)
    folders = [model(tmp_path / str(s), llama(s) | {BIAS: empty}) for s in range(3)]
    weights = {} if method == "model_stock" else {"weight": 1}
    found = merged(recipe(method, *folders[1:], base=folders[0], **weights))
    assert found[BIAS].shape == shape


@pytest.mark.parametrize("method", ["linear", "ties", "nuslerp", "karcher", "della"])
@pytest.mark.parametrize("shape", [(), (1,), (2, 3, 4)])
def test_a_tensor_of_any_number_of_axes_is_merged(tmp_path, method, shape):
    tensors = [llama(seed) | {BIAS: np.full(shape, 1.0 + seed, np.float32)} for seed in range(3)]
    folders = [model(tmp_path / str(s), each) for s, each in enumerate(tensors)]
    weights = {} if method == "karcher" else {"weight": 1}
    found = merged(recipe(method, *folders[1:], base=folders[0], **weights))
    assert found[BIAS].shape == shape
    assert 1 <= found[BIAS].min() <= found[BIAS].max() <= 3
