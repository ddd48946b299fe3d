"""What is fixed in a layer, and that it depends on nothing but its address."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from evomerge.errors import EvomergeError
from evomerge.linear_merger import Asymmetric, LinearMerger, Lower, Rows, Upper, Zeros
from evomerge.linear_merger.masks import MASKS, Mask

sizes = st.integers(1, 12)
widths = st.integers(2, 40)
shares = st.floats(0.01, 0.99)
seeds = st.integers(0, 2**40)


@given(sizes)
def test_upper_and_lower_of_a_square_are_its_triangles(size: int):
    ones = torch.ones(size, size, dtype=torch.bool)
    assert torch.equal(Upper().pattern(size, size, "").mask, ones.triu())
    assert torch.equal(Lower().pattern(size, size, "").mask, ones.tril())


@given(sizes, sizes)
def test_no_row_and_no_column_of_a_triangle_is_without_a_weight(outputs: int, inputs: int):
    for mask in (Upper(), Lower(), Rows(3)):
        trained = mask.pattern(outputs, inputs, "layer").mask
        assert trained.any(0).all()
        assert trained.any(1).all()


@given(sizes, sizes)
def test_lower_is_upper_seen_from_the_other_side(outputs: int, inputs: int):
    upper, lower = Upper().pattern(outputs, inputs, ""), Lower().pattern(outputs, inputs, "")
    assert torch.equal(lower.mask, upper.mask.flip(0, 1))
    assert torch.equal(lower.mask, Upper().pattern(inputs, outputs, "").mask.T)


def test_a_triangle_that_is_not_square_goes_from_corner_to_corner():
    wide, tall = Upper().pattern(2, 4, "").mask, Upper().pattern(4, 2, "").mask
    assert wide.int().tolist() == [[1, 1, 1, 1], [0, 0, 1, 1]]
    assert tall.int().tolist() == [[1, 1], [1, 1], [0, 1], [0, 1]]


@given(sizes, sizes, seeds)
def test_rows_are_those_of_the_triangle_in_another_order(outputs: int, inputs: int, seed: int):
    mask = Rows(seed)
    order = mask.order(outputs, "layer")
    assert sorted(order.tolist()) == list(range(outputs))
    triangle = Upper().pattern(outputs, inputs, "").mask
    assert torch.equal(mask.pattern(outputs, inputs, "layer").mask, triangle[order])


@given(sizes, widths, shares, seeds)
def test_each_row_has_its_share_frozen(outputs: int, inputs: int, share: float, seed: int):
    frozen = min(max(1, round(share * inputs)), inputs - 1)
    for mask in (Zeros(share, seed), Asymmetric(share, 1.0, seed)):
        trained = mask.pattern(outputs, inputs, "layer").mask
        assert ((~trained).sum(1) == frozen).all()


@given(sizes, widths, seeds)
def test_zeros_and_asymmetric_freeze_the_same_places(outputs: int, inputs: int, seed: int):
    zeros = Zeros(seed=seed).pattern(outputs, inputs, "layer")
    numbers = Asymmetric(seed=seed).pattern(outputs, inputs, "layer")
    assert torch.equal(zeros.mask, numbers.mask)
    assert not zeros.frozen.any()
    assert torch.equal(numbers.frozen != 0, ~numbers.mask)


def test_frozen_numbers_are_normal_with_the_scale_as_deviation():
    mask, frozen = Asymmetric(share=0.5, scale=0.25).pattern(400, 400, "layer")
    numbers = frozen[~mask] / 0.25
    assert abs(numbers.mean()) < 0.02
    assert abs(numbers.std() - 1) < 0.02
    # 68.27 % of a normal lie within one deviation, 95.45 % within two.
    assert abs((numbers.abs() < 1).float().mean() - 0.6827) < 0.01
    assert abs((numbers.abs() < 2).float().mean() - 0.9545) < 0.01


@pytest.mark.parametrize("kind", [Rows, Zeros, Asymmetric])
def test_another_seed_and_another_name_fix_something_else(kind: type[Rows | Zeros | Asymmetric]):
    usual = kind().pattern(16, 16, "layer")
    for other in (kind(seed=1).pattern(16, 16, "layer"), kind().pattern(16, 16, "other")):
        assert not torch.equal(usual.mask, other.mask)
    assert all(map(torch.equal, usual, kind().pattern(16, 16, "layer")))


def test_what_is_fixed_is_the_same_in_every_process_and_on_every_machine():
    mask, frozen = Asymmetric(seed=5).pattern(2, 8, "head")
    assert (~mask).nonzero().tolist() == [[0, 6], [1, 1]]
    assert frozen[~mask].tolist() == pytest.approx([0.4654, 1.148], abs=1e-4)


@pytest.mark.parametrize("kind", MASKS)
def test_nothing_is_drawn_from_the_global_generator(kind: str):
    before = torch.get_rng_state()
    MASKS[kind]().pattern(8, 8, "layer")
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("share", [0, 1, -0.5, 1.5, float("nan")])
@pytest.mark.parametrize("kind", [Zeros, Asymmetric])
def test_a_share_of_all_or_nothing_is_refused(kind: type[Zeros | Asymmetric], share: float):
    with pytest.raises(
        ValueError, match=f"share: found {share}; expected a number between 0 and 1"
    ):
        kind(share=share)


@pytest.mark.parametrize("scale", [0, -1, float("inf"), float("nan")])
def test_a_scale_that_is_none_is_refused(scale: float):
    with pytest.raises(ValueError, match=f"scale: found {scale}; expected a number above 0"):
        Asymmetric(scale=scale)


@pytest.mark.parametrize("mask", [Zeros(), Asymmetric()])
def test_a_share_of_one_input_is_refused(mask: Mask):
    with pytest.raises(ValueError, match="gate: found 1 input"):
        LinearMerger(1, 4, mask, name="gate")


def test_refusals_are_for_the_person_at_the_keyboard_too():
    with pytest.raises(EvomergeError, match="did you mean 'upper'"):
        LinearMerger(4, 4, "uper")
