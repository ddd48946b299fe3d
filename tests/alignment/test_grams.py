"""Inner products come in pieces, and where all units stand near their partners in none at all."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from evomerge.aligners.base import Pair, Settings, align
from evomerge.alignment import matching
from evomerge.alignment.drawing import random_element
from evomerge.alignment.elements import Units
from evomerge.alignment.grams import Piece, grams, is_certain
from evomerge.alignment.live import layout_of_model, move_model
from evomerge.alignment.weight_matching import weight_matching
from evomerge.zoo.random_models import fine_tuned, random_model
from tests.alignment.kinds import in_memory

UNITS, NUMBERS = 12, 200


def reader(model):
    return {name: p.detach().numpy() for name, p in model.named_parameters()}.__getitem__


def rows(seed: int, units: int = UNITS) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(units, NUMBERS))


def still(units: int = UNITS) -> Units:
    return Units(np.arange(units), np.ones(units))


def test_grams_by_hand():
    first, other = np.array([[1.0, 2.0], [0.0, 1.0]]), np.array([[3.0, 0.0], [1.0, 1.0]])
    gain = np.array([[2.0], [1.0]])
    found = grams([Piece(first, other, True), Piece(gain, gain, False)], 2)
    assert found.signed.tolist() == [[3.0, 3.0], [0.0, 1.0]]
    assert found.plain.tolist() == [[4.0, 2.0], [2.0, 1.0]]


def test_sums_over_pieces_are_in_float64():
    """In float32 what comes after the first piece would be lost."""
    large, small = np.float32([[4096.0]]), np.float32([[2.0**-6]])
    found = grams([Piece(large, large, False), Piece(small, small, False)], 1)
    assert found.plain[0, 0] == 2.0**24 + 2.0**-12
    assert found.epsilon == np.finfo(np.float32).eps


@settings(max_examples=50)
@given(seed=st.integers(0, 10**6), noise=st.floats(0, 0.3))
def test_where_it_is_certain_no_other_order_is_better(seed, noise):
    first = rows(seed)
    other = first + noise * rows(seed + 1)
    assert is_certain([Piece(first, other, True)], still())
    plain = grams([Piece(first, other, True)], UNITS).signed
    assert (abs(plain).argmax(1) == np.arange(UNITS)).all()


@settings(max_examples=50)
@given(seed=st.integers(0, 10**6))
def test_partners_may_stand_elsewhere_with_another_sign(seed):
    random = np.random.default_rng(seed)
    first, order = rows(seed), random.permutation(UNITS)
    signs = random.choice([-1.0, 1.0], UNITS)
    other = np.empty_like(first)
    other[order] = signs[:, None] * first
    assert is_certain([Piece(first, other, True)], Units(order, signs))
    assert is_certain([Piece(first, other, False)], Units(order, signs)) == (signs > 0).all()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda rows: rows[[1, 0, *range(2, UNITS)]],
        lambda rows: np.where(np.arange(UNITS)[:, None] == 3, -rows, rows),
        lambda rows: rows[::-1],
        lambda rows: np.random.default_rng(9).normal(size=rows.shape),
    ],
    ids=["two change places", "one changes its sign", "all change places", "strangers"],
)
def test_one_unit_that_stands_elsewhere_is_enough(spoil):
    first = rows(0)
    assert not is_certain([Piece(first, spoil(first), True)], still())


def test_gains_alone_tell_nothing():
    """All are near 1 in any model."""
    gains = np.ones((UNITS, 1))
    assert not is_certain([Piece(gains, gains, False)], still())
    assert not is_certain(
        [Piece(30 * gains, 30 * gains, False), Piece(rows(0), rows(1), True)], still()
    )


def test_few_numbers_are_not_enough():
    """Among them near copies are common."""
    first = rows(0)[:, :63]
    assert not is_certain([Piece(first, first, True)], still())
    assert is_certain([Piece(rows(0)[:, :64], rows(0)[:, :64], True)], still())


def test_siblings_are_recognised_without_grams(tmp_path, monkeypatch):
    base = random_model(tmp_path / "base", "llama")
    models = [fine_tuned(tmp_path / str(seed), base, seed=seed, noise=0.01) for seed in (1, 2)]
    anchor, source = map(in_memory, models)
    monkeypatch.setattr(matching, "grams", None)
    pair = Pair(layout_of_model(anchor), reader(anchor), reader(source))
    assert align(pair, Settings()).siblings


@pytest.mark.parametrize("groups", [["residual"], ["neurons"], ["heads"], ["keys"], ["values"]])
@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_a_sibling_that_was_moved_is_none(kind, groups, tmp_path):
    base = random_model(tmp_path / "base", kind)
    models = [fine_tuned(tmp_path / str(seed), base, seed=seed, noise=0.01) for seed in (1, 2)]
    anchor, source = map(in_memory, models)
    layout = layout_of_model(anchor)
    move_model(source, random_element(layout.only(groups), 0))
    assert not align(Pair(layout, reader(anchor), reader(source)), Settings()).siblings


def test_the_size_of_pieces_does_not_matter(folders, monkeypatch):
    anchor, source = (in_memory(folders("llama"), torch.float64) for _ in range(2))
    layout = layout_of_model(anchor)
    move_model(source, random_element(layout, 0))
    whole = weight_matching(layout, reader(anchor), reader(source))
    monkeypatch.setattr(matching, "NUMBERS", 7)
    cut = weight_matching(layout, reader(anchor), reader(source))
    for name, move in whole.items():
        assert (move.order == cut[name].order).all()
