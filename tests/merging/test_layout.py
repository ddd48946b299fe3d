"""Promises of the layout: which tensors the output has, and what each is made of."""

from __future__ import annotations

import numpy as np
import pytest

from evomerge.errors import CheckpointError, MergeError
from tests.merging.tiny import (
    EMBEDDING,
    HEAD,
    NORM,
    QUERY,
    UP,
    llama,
    merged,
    model,
    of_layer,
    plan_of,
    recipe,
    same,
    sliced,
)

OUTSIDE = (EMBEDDING, NORM, HEAD)


@pytest.fixture
def two(tmp_path):
    """Two models of three layers: folders and tensors."""
    tensors = [llama(seed, layers=3) for seed in (1, 2)]
    return [model(tmp_path / name, t) for name, t in zip("ab", tensors, strict=True)], tensors


def test_tensors_come_from_the_embedding_to_the_head(two):
    (a, b), _ = two
    names = [tensor.info.name for tensor in plan_of(recipe("linear", a, b, weight=1)).tensors]
    assert names[0] == EMBEDDING
    assert set(names[-2:]) == {NORM, HEAD}
    assert [name.split(".")[2] for name in names[1:-2]] == ["0"] * 3 + ["1"] * 3 + ["2"] * 3


def test_more_than_ten_layers_come_in_order(tmp_path):
    a = model(tmp_path / "a", llama(layers=12))
    names = [t.info.name for t in plan_of(recipe("passthrough", a)).tensors if QUERY in t.info.name]
    assert names == [of_layer(number, QUERY) for number in range(12)]


def test_one_model_passes_whole(two):
    (a, _), (tensors, _) = two
    found = merged(recipe("passthrough", a))
    assert set(found) == set(tensors)
    same(found, {name: tensors[name] for name in found})


def test_slices_stack_layers_and_number_them_anew(two):
    (a, b), (of_a, of_b) = two
    found = merged(sliced("passthrough", [(a, 0, 2)], [(b, 1, 3)], [(a, 1, 2)]))
    origins = [(of_a, 0), (of_a, 1), (of_b, 1), (of_b, 2), (of_a, 1)]
    for number, (origin, layer) in enumerate(origins):
        for name in (QUERY, UP, "input_layernorm.weight"):
            expected = origin[of_layer(layer, name)]
            np.testing.assert_array_equal(found[of_layer(number, name)], expected)
    assert len(found) == 3 * 5 + 3


def test_the_embedding_is_of_the_first_slice_and_norm_and_head_of_the_last(two):
    (a, b), (of_a, of_b) = two
    found = merged(sliced("passthrough", [(b, 0, 1)], [(a, 1, 3)]))
    np.testing.assert_array_equal(found[EMBEDDING], of_b[EMBEDDING])
    np.testing.assert_array_equal(found[NORM], of_a[NORM])
    np.testing.assert_array_equal(found[HEAD], of_a[HEAD])


def test_an_empty_slice_at_the_end_chooses_the_head(two):
    (a, b), (_, of_b) = two
    found = merged(sliced("passthrough", [(a, 0, 3)], [(b, 0, 0)]))
    np.testing.assert_array_equal(found[HEAD], of_b[HEAD])
    assert len(found) == 3 * 3 + 3


def test_every_slice_has_its_own_sources(two):
    (a, b), (of_a, of_b) = two
    found = merged(sliced("linear", [(a, 0, 1), (b, 2, 3)], [(a, 1, 2)], weight=1))
    name = of_layer(0, QUERY)
    expected = (of_a[name] + of_b[of_layer(2, QUERY)]) / 2
    np.testing.assert_allclose(found[name], expected, atol=1e-6)
    np.testing.assert_array_equal(found[of_layer(1, QUERY)], of_a[of_layer(1, QUERY)])
    np.testing.assert_allclose(found[EMBEDDING], (of_a[EMBEDDING] + of_b[EMBEDDING]) / 2, atol=1e-6)
    np.testing.assert_array_equal(found[NORM], of_a[NORM])


def test_a_slice_may_have_a_base_of_its_own(two):
    (a, b), (of_a, of_b) = two
    tree = sliced(
        "task_arithmetic", [(a, 0, 1), (b, 0, 1)], [(a, 1, 3), (b, 1, 3)], base=a, weight=2
    )
    tree["slices"][1]["base_model"] = str(b)
    found = merged(tree)
    for layer, (base, other) in enumerate([(of_a, of_b), (of_b, of_a), (of_b, of_a)]):
        name = of_layer(layer, QUERY)
        np.testing.assert_allclose(found[name], 2 * other[name] - base[name], atol=1e-5)


def test_an_unlisted_base_is_one_more_model(two, tmp_path):
    (a, b), (of_a, of_b) = two
    found = merged(recipe("karcher", a, base=b))
    direction = of_a[NORM] / np.linalg.norm(of_a[NORM]) + of_b[NORM] / np.linalg.norm(of_b[NORM])
    cosine = found[NORM] @ direction / np.linalg.norm(found[NORM]) / np.linalg.norm(direction)
    assert cosine == pytest.approx(1, abs=1e-6)


def gpt2(seed, root):
    rng = np.random.default_rng(seed)
    names = ["wte.weight", "wpe.weight", "h.0.ln_1.bias", "h.0.mlp.c_fc.weight", "ln_f.weight"]
    return {root + name: rng.standard_normal((4, 3)).astype(np.float32) for name in names}


@pytest.mark.parametrize(("left", "right"), [("", "transformer."), ("transformer.", "")])
def test_names_with_and_without_a_root_are_the_same(tmp_path, left, right):
    kind = {"architectures": ["GPT2LMHeadModel"], "n_layer": 1}
    first, second = gpt2(1, left), gpt2(2, right)
    a, b = model(tmp_path / "a", first, **kind), model(tmp_path / "b", second, **kind)
    found = merged(recipe("linear", a, b, weight=1))
    assert set(found) == set(first)  # named as in the donor
    for name, array in found.items():
        other = second[right + name.removeprefix(left)]
        np.testing.assert_allclose(array, (first[name] + other) / 2, atol=1e-6)


def test_an_unknown_family_is_merged_by_its_numbered_layers(tmp_path):
    kind = {"architectures": ["NewForCausalLM"], "num_hidden_layers": 3}
    first, second = llama(1, layers=3), llama(2, layers=3)
    a, b = model(tmp_path / "a", first, **kind), model(tmp_path / "b", second, **kind)
    found = merged(recipe("linear", a, b, weight=1))
    assert set(found) == set(first)
    np.testing.assert_allclose(found[HEAD], (first[HEAD] + second[HEAD]) / 2, atol=1e-6)


def test_experts_are_merged_by_their_names_on_disk(tmp_path):
    def mixture(seed):
        tensors = llama(seed, layers=1)
        rng = np.random.default_rng(seed)
        for expert in range(12):
            name = f"block_sparse_moe.experts.{expert}.w1.weight"
            tensors[of_layer(0, name)] = rng.standard_normal((4, 6)).astype(np.float32)
        return tensors

    kind = {"architectures": ["MixtralForCausalLM"]}
    first, second = mixture(1), mixture(2)
    a, b = model(tmp_path / "a", first, **kind), model(tmp_path / "b", second, **kind)
    found = merged(recipe("linear", a, b, weight=1))
    assert set(found) == set(first)
    for name in first:
        np.testing.assert_allclose(found[name], (first[name] + second[name]) / 2, atol=1e-6)


def test_a_missing_weight_is_named(two, tmp_path):
    (a, _), (tensors, _) = two
    lacking = {name: array for name, array in tensors.items() if name != of_layer(1, UP)}
    b = model(tmp_path / "lacking", lacking, num_hidden_layers=3)
    with pytest.raises(MergeError, match=r"^model.layers.1.mlp.up_proj.weight: lacking has no"):
        plan_of(recipe("linear", a, b, weight=1))


def test_shapes_that_differ_are_named(two, tmp_path):
    (a, _), (tensors, _) = two
    other = dict(tensors)
    other[of_layer(2, UP)] = np.zeros((3, 3), np.float32)
    b = model(tmp_path / "other", other)
    message = r"^model.layers.2.mlp.up_proj.weight: a has shape \(12, 6\), other has \(3, 3\)"
    with pytest.raises(MergeError, match=message):
        plan_of(recipe("linear", a, b, weight=1))


def test_layers_that_are_announced_must_be_there(tmp_path):
    a = model(tmp_path / "a", llama(layers=2), num_hidden_layers=4)
    with pytest.raises(CheckpointError, match="no tensors of layer 2"):
        plan_of(recipe("passthrough", a))
