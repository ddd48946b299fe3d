"""Soft plans, and the aligners that have them: optimal transport and Sinkhorn."""

from __future__ import annotations

from functools import partial
from random import Random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from evomerge.aligners.base import Pair, Settings, align
from evomerge.aligners.proving import change_of
from evomerge.alignment.assignment import best_assignment
from evomerge.alignment.drawing import random_element
from evomerge.alignment.elements import Units, compose, identity, invert, is_symmetry
from evomerge.alignment.layout import Span
from evomerge.alignment.live import layout_of_model, move_model
from evomerge.alignment.moving import moved
from evomerge.alignment.places import Place
from evomerge.alignment.transporting import plan
from evomerge.alignment.transports import Transport
from evomerge.alignment.weight_matching import improved, in_balance
from evomerge.alignment.writing import write_moved
from evomerge.checkpoint.reader import open_checkpoint
from evomerge.errors import AlignmentError
from evomerge.zoo.random_models import random_model
from tests.alignment.kinds import in_memory
from tests.alignment.planting import reader

HARD = ("optimal_transport", "sinkhorn")
UNITS = ("residual", "neurons")


def gains(seed: int, places: int, units: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(places, units))


@given(st.integers(0, 10**6), st.integers(1, 12), st.integers(1, 12), st.floats(0.01, 10))
def test_all_of_every_unit_goes_somewhere(seed, places, units, temperature):
    found = plan(gains(seed, places, units), temperature)
    assert (found >= 0).all()
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-9)
    np.testing.assert_allclose(found.sum(0), places / units, atol=1e-9)


@given(st.integers(0, 10**6), st.floats(0.5, 10))
def test_a_plan_is_the_best_there_is(seed, temperature):
    """Its logarithms are the gains over the temperature, but for a number a row and a column."""
    found, each = gains(seed, 5, 4), gains(seed, 5, 4)
    scale = temperature * abs(each).max(1).mean()
    rest = np.log(plan(found, temperature)) - each / scale
    rest = rest - rest[:1] - rest[:, :1] + rest[0, 0]
    np.testing.assert_allclose(rest, 0, atol=1e-4)


def test_a_plan_by_hand():
    found = plan(np.eye(2), 1.0)
    np.testing.assert_allclose(found[0, 0], 1 / (1 + np.exp(-1)), atol=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_the_colder_the_nearer_to_an_assignment(seed):
    each = gains(seed, 9, 9)
    worth = [float((plan(each, t) * each).sum()) for t in (10.0, 1.0, 0.1, 0.02)]
    best = each[np.arange(9), best_assignment(each)].sum()
    assert worth == sorted(worth)
    assert worth[-1] == pytest.approx(best, rel=0.01)
    np.testing.assert_allclose(plan(each, 1e6), 1 / 9, atol=1e-5)


def test_equal_gains_are_shared():
    np.testing.assert_allclose(plan(np.zeros((3, 6)), 0.1), 1 / 6)


def pair_of(anchor, source) -> Pair:
    return Pair(layout_of_model(anchor), reader(anchor), reader(source))


@pytest.mark.parametrize("method", HARD)
@pytest.mark.parametrize("kind", ["llama", "gpt2", "gpt_neox", "phi3", "qwen3"])
def test_planted_symmetries_are_recovered(kind, method, folders):
    anchor, source = (in_memory(folders(kind)) for _ in range(2))
    move_model(source, random_element(layout_of_model(anchor), 2))
    move_model(source, align(pair_of(anchor, source), Settings(method)).element)
    for original, back in zip(anchor.parameters(), source.parameters(), strict=True):
        torch.testing.assert_close(back, original, rtol=0, atol=1e-6)


@pytest.fixture(scope="module")
def strangers(session_folder):
    folder = session_folder / "mixed_strangers"
    return [random_model(folder / str(seed), "qwen2", seed=seed) for seed in range(2)]


@pytest.mark.parametrize("method", HARD)
def test_strangers_come_nearer_and_compute_the_same(method, strangers):
    anchor, source = map(in_memory, strangers)
    found = align(pair_of(anchor, source), Settings(method))
    assert all(fit.after > fit.before for fit in found.fits)
    assert is_symmetry(found.element)
    assert move_model(source, found.element) <= 1e-10


def test_cooling_ends_where_no_group_gains(strangers):
    """What Sinkhorn found, the steps of weight matching leave alone."""
    anchor, source = map(in_memory, strangers)
    move_model(source, align(pair_of(anchor, source), Settings("sinkhorn", UNITS)).element)
    layout = layout_of_model(anchor).only(UNITS)
    sides = in_balance(layout, reader(anchor), reader(source))
    still = identity(layout)
    better = improved(sides, still, layout.groups, Random(1))
    assert all(better[name] is move for name, move in still.items())


@pytest.mark.parametrize("method", HARD)
def test_soft_plans_mix_units_and_say_by_how_much_that_changes(method, strangers, tmp_path):
    anchor, source = map(in_memory, strangers)
    soft = Settings(method, UNITS, options={"soft": True, "temperature": 0.5})
    assert soft.mixes
    assert not Settings(method).mixes
    element = align(pair_of(anchor, source), soft).element
    assert not is_symmetry(element)
    for move in element.values():
        assert isinstance(move, Transport)
        for sums in (move.follows.sum(0), move.follows.sum(1)):
            np.testing.assert_allclose(sums, 1, atol=1e-9)
    with open_checkpoint(str(strangers[1])) as checkpoint:
        change = write_moved(checkpoint, element, tmp_path / "mixed")
        assert change > 1e-2
        assert change_of(checkpoint, element) == pytest.approx(change, rel=1e-3)
    with pytest.raises(AlignmentError, match="soft: a transport mixes units, which cannot be und"):
        invert(element)


@pytest.mark.parametrize("method", HARD)
def test_a_cold_soft_plan_of_a_copy_is_the_hard_one(method, folders):
    anchor, source = (in_memory(folders("llama")) for _ in range(2))
    move_model(source, random_element(layout_of_model(anchor).only(UNITS), 0))
    soft = Settings(method, UNITS, options={"soft": True, "temperature": 1e-3})
    element = align(pair_of(anchor, source), soft).element
    tensors, layout = reader(source), layout_of_model(source)
    for name, original in anchor.named_parameters():
        back = moved(tensors(name), layout.tensors[name], element)
        np.testing.assert_allclose(back, original.detach(), atol=1e-4)


@pytest.mark.parametrize("options", [{}, {"soft": True}])
@pytest.mark.parametrize("method", HARD)
def test_a_seed_gives_the_same_bits(method, options, strangers):
    anchor, source = map(in_memory, strangers)
    find = partial(align, pair_of(anchor, source), Settings(method, seed=3, options=options))
    one, other = find().element, find().element
    for name, move in one.items():
        assert all(map(np.array_equal, vars(move).values(), vars(other[name]).values()))


def test_mixtures_of_moved_units_compose():
    random = np.random.default_rng(0)
    units = Units(random.permutation(4), random.choice([-2.0, 0.5], 4))
    mixture = Transport(*random.normal(size=(3, 4, 4)))
    tensor = random.normal(size=(4, 3))
    for role in ("writes", "reads", "follows"):
        axes = ((Span("neurons.0", Place("neurons", role)),), ())
        for first, second in ((units, mixture), (mixture, units), (mixture, mixture)):
            twice = moved(moved(tensor, axes, {"neurons.0": first}), axes, {"neurons.0": second})
            once = moved(tensor, axes, compose({"neurons.0": second}, {"neurons.0": first}))
            np.testing.assert_allclose(once, twice, atol=1e-12)


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        ("optimal_transport", {"soft": "yes"}, "soft: found 'yes'; expected true or false"),
        ("optimal_transport", {"temperature": 0}, "temperature: found 0; expected a number above"),
        ("sinkhorn", {"temperature": "cold"}, "temperature: found 'cold'; expected a number abo"),
        ("sinkhorn", {"sweeps": 0}, "sweeps: found 0; expected a whole number from 1"),
    ],
)
def test_settings_out_of_range_are_refused(method, options, message):
    with pytest.raises(AlignmentError, match=message):
        Settings(method, options=options)
