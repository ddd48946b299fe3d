"""The promises of the geometric zipper, in both of its modes: of matrices, and of whole models."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from evomerge.aligners.base import Pair, Settings, align
from evomerge.alignment.assignment import best_assignment
from evomerge.alignment.drawing import random_element
from evomerge.alignment.elements import identity, invert
from evomerge.alignment.folding import STREAM
from evomerge.alignment.layout import Layout
from evomerge.alignment.live import layout_of_model, move_model
from evomerge.alignment.procrustes import nearest_rotation
from evomerge.alignment.rotations import Rotation
from evomerge.errors import AlignmentError, RecipeError
from evomerge.zoo.random_models import random_model
from tests.alignment.kinds import DECLARED, in_memory
from tests.alignment.planting import random_rotation, reader, with_gains
from tests.alignment.test_assignment import greedy

MODES = ("permutation", "rotation")
UNITS = 60


def permutation(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """P, so that P @ source is nearest to target."""
    return np.eye(len(source))[best_assignment(target @ source.T)]


def rotation(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """R, so that R @ source is nearest to target."""
    return nearest_rotation(target @ source.T, np.eye(len(source)))


def matrix(seed: int, columns: int = 80) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(UNITS, columns))


def shuffled(rows: np.ndarray, seed: int = 0) -> np.ndarray:
    return rows[np.random.default_rng(seed).permutation(len(rows))]


@pytest.mark.parametrize("columns", [80, 20])
def test_identical_matrices_give_the_identity(columns):
    same = matrix(0, columns)
    assert np.array_equal(permutation(same, same), np.eye(UNITS))


def test_a_row_shuffle_is_recovered_exactly():
    target = matrix(0)
    source = shuffled(target)
    assert np.array_equal(permutation(source, target) @ source, target)


def test_a_permutation_times_its_transpose_is_one():
    found = permutation(matrix(0), matrix(1))
    assert np.array_equal(found @ found.T, np.eye(UNITS))


@pytest.mark.parametrize("columns", [80, 20])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_identical_matrices_give_a_rotation_of_one(dtype, columns):
    """Also where there are fewer columns than rows, which leave most directions open."""
    same = matrix(0, columns).astype(dtype).astype(np.float64)
    found = rotation(same, same)
    assert abs(found - np.eye(UNITS)).max() < 1e-5
    assert np.linalg.norm(found @ same - same) / np.linalg.norm(same) < 1e-5


@given(st.integers(0, 10**6), st.integers(1, 90))
def test_a_rotation_times_its_transpose_is_one(seed, columns):
    found = rotation(matrix(seed, columns), matrix(seed + 1, columns))
    np.testing.assert_allclose(found @ found.T, np.eye(UNITS), atol=1e-12)


@given(st.integers(0, 10**6), st.integers(1, 90))
def test_a_rotation_never_increases_the_distance_to_the_target(seed, columns):
    source, target = matrix(seed, columns), matrix(seed + 1, columns)
    before, after = (
        np.linalg.norm(m - target) for m in (source, rotation(source, target) @ source)
    )
    assert after <= before * (1 + 1e-12)
    turned_back = rotation(shuffled(target), target) @ shuffled(target)
    assert np.linalg.norm(turned_back - target) <= np.linalg.norm(shuffled(target) - target)


def test_a_reflection_is_found():
    """Rotations are of O(n): this one has the determinant -1."""
    source = matrix(0)
    mirror = np.diag([-1.0] + [1.0] * (UNITS - 1))
    np.testing.assert_allclose(rotation(source, mirror @ source), mirror, atol=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_without_scipy_more_is_recovered_than_row_by_row(seed, monkeypatch):
    """All of it, where taking the best that is left, row by row, loses a twentieth or more."""
    random = np.random.default_rng(seed)
    target = random.normal(size=(UNITS, 20))
    order = random.permutation(UNITS)
    source = target[order] + 0.8 * random.normal(size=target.shape)
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    right = np.argsort(order)
    assert (permutation(source, target).argmax(1) == right).all()
    assert (greedy(target @ source.T) == right).mean() < 0.95


WRITERS = {"o_proj", "down_proj", "dense", "dense_4h_to_h", "fc2", "c_proj"}
EMBEDDINGS = {"embed_tokens", "embed_in", "wte", "wpe"}
READERS = {
    *("q_proj", "k_proj", "v_proj", "qkv_proj", "query_key_value", "c_attn"),
    *("gate_proj", "up_proj", "gate_up_proj", "dense_h_to_4h", "fc1", "c_fc"),
}
HEADS = {"lm_head", "embed_out"}


@pytest.mark.parametrize("kind", DECLARED.values())
def test_residual_writers_and_readers_are_found(kind, folders):
    """By the names that people give them, in each family and each layer."""
    model = in_memory(folders(kind))
    layout = layout_of_model(model)
    for role, expected in (("writes", WRITERS | EMBEDDINGS), ("reads", READERS | HEADS)):
        found = {n for n, _, s in layout.of(STREAM) if s.place.role == role and "weight" in n}
        named = {n for n, _ in model.named_parameters() if n.endswith(".weight")}
        assert found == {name for name in named if name.split(".")[-2] in expected}


def zipper(**options: object) -> Settings:
    return Settings("zipper", options=options)


def planted(folder, mode: str):
    """A model, and one that was moved along all that the mode lets move."""
    anchor, source = in_memory(folder), in_memory(folder)
    layout = layout_of_model(anchor)
    for model in (anchor, source):
        with_gains(model, layout)
    if mode == "rotation":
        move_model(source, random_rotation(layout, source, 0))
    else:
        move_model(source, random_element(layout, 0))
    return anchor, source, layout


def pair(anchor, source, layout: Layout) -> Pair:
    return Pair(layout, reader(anchor), reader(source))


@pytest.mark.parametrize("mode", MODES)
def test_what_was_planted_is_recovered(mode, folders):
    anchor, source, layout = planted(folders("llama"), mode)
    found = align(pair(anchor, source, layout), zipper(mode=mode))
    assert isinstance(found.element[STREAM], Rotation) == (mode == "rotation")
    assert move_model(source, found.element) <= 1e-10
    for original, back in zip(anchor.parameters(), source.parameters(), strict=True):
        torch.testing.assert_close(back, original, rtol=0, atol=1e-10)


@pytest.mark.parametrize("mode", MODES)
def test_identical_models_stay(mode, folders):
    model = in_memory(folders("llama"))
    found = align(pair(model, model, layout_of_model(model)), zipper(mode=mode))
    assert found.siblings
    assert {fit.error for fit in found.fits} == {0.0}


@pytest.mark.parametrize("mode", MODES)
def test_what_is_found_computes_the_same_and_can_be_undone(mode, folders, tmp_path):
    _, source, layout = planted(folders("qwen2"), mode)
    other = in_memory(random_model(tmp_path / "other", "qwen2", seed=5))
    original = [p.clone() for p in source.parameters()]
    element = align(pair(other, source, layout), zipper(mode=mode)).element
    assert move_model(source, element) <= 1e-10
    assert move_model(source, invert(element)) <= 1e-10
    for before, after in zip(original, source.parameters(), strict=True):
        torch.testing.assert_close(after, before, rtol=0, atol=1e-10)


@pytest.mark.parametrize("mode", MODES)
def test_without_the_zipper_only_what_stands_in_a_layer_is_moved(mode, folders):
    anchor, source, layout = planted(folders("llama"), "permutation")
    found = align(pair(anchor, source, layout), zipper(zipper=False, mode=mode))
    assert found.element.keys() == identity(layout).keys() - {STREAM}
    assert move_model(source, found.element) <= 1e-10


def test_nothing_to_be_moved_is_refused(folders):
    model = in_memory(folders("llama"))
    settings = Settings("zipper", [STREAM], options={"zipper": False})
    with pytest.raises(AlignmentError, match="zipper: is false, which leaves nothing"):
        align(pair(model, model, layout_of_model(model)), settings)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "rotate"}, "mode: unknown mode 'rotate'; did you mean 'rotation'"),
        ({"modes": "rotation"}, "zipper: unknown key 'modes'; did you mean 'mode'"),
        ({"zipper": "yes"}, "zipper: found 'yes'; expected true or false"),
    ],
)
def test_options_that_do_not_exist_are_refused(options, message):
    with pytest.raises((AlignmentError, RecipeError), match=message):
        zipper(**options)
