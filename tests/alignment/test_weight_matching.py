"""Weight matching finds what was planted, and never goes away from the anchor."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from evomerge.aligners.base import Pair, Settings, align
from evomerge.alignment.drawing import random_element
from evomerge.alignment.elements import Heads, Units, invert
from evomerge.alignment.fit import fits
from evomerge.alignment.layout import GROUPS, Layout, Span, UnitGroup
from evomerge.alignment.live import layout_of_model, move_model
from evomerge.alignment.places import Place
from evomerge.alignment.weight_matching import weight_matching
from evomerge.errors import AlignmentError
from evomerge.zoo.random_models import fine_tuned, random_model
from tests.alignment.kinds import KINDS, in_memory


def reader(model):
    return {name: p.detach().numpy() for name, p in model.named_parameters()}.__getitem__


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("kind", KINDS)
def test_planted_symmetries_are_recovered(kind, seed, folders):
    """All groups at once. Merged with its anchor, the model is then what it was."""
    anchor, source = (in_memory(folders(kind), torch.float32) for _ in range(2))
    layout = layout_of_model(anchor)
    planted = random_element(layout, seed)
    move_model(source, planted)
    found = weight_matching(layout, reader(anchor), reader(source), seed=seed)
    move_model(source, found)
    for original, back in zip(anchor.parameters(), source.parameters(), strict=True):
        merged = (original + back) / 2
        torch.testing.assert_close(merged, original, rtol=1e-5, atol=1e-6)
    undone = invert(planted)
    for name, move in found.items():
        assert (move.order == undone[name].order).all()


@pytest.mark.parametrize("group", GROUPS)
def test_one_group_alone_is_recovered_when_only_it_is_asked_for(group, folders):
    anchor, source = (in_memory(folders("llama")) for _ in range(2))
    layout = layout_of_model(anchor).only([group])
    move_model(source, random_element(layout, 1))
    found = weight_matching(layout, reader(anchor), reader(source))
    move_model(source, found)
    for original, back in zip(anchor.parameters(), source.parameters(), strict=True):
        torch.testing.assert_close(back, original, rtol=1e-9, atol=1e-11)


def test_what_is_not_asked_for_stays(folders):
    anchor, source = (in_memory(folders("llama")) for _ in range(2))
    move_model(source, random_element(layout_of_model(anchor), 1))
    layout = layout_of_model(anchor).only(["heads", "values"])
    found = weight_matching(layout, reader(anchor), reader(source))
    assert set(found) == {"heads.0", "heads.1"}
    for move in found.values():
        assert isinstance(move, Heads)
        assert (move.keys == np.eye(8)).all()


@pytest.fixture(scope="module")
def strangers(session_folder):
    """Models that never met."""
    folder = session_folder / "strangers"
    return [random_model(folder / str(seed), "qwen2", seed=seed) for seed in range(2)]


@pytest.mark.parametrize("group", [*GROUPS, None])
def test_strangers_come_nearer(group, strangers):
    anchor, source = map(in_memory, strangers)
    layout = layout_of_model(anchor).only(GROUPS if group is None else [group])
    found = weight_matching(layout, reader(anchor), reader(source))
    told = {fit.group: fit for fit in fits(layout, reader(anchor), reader(source), found)}
    for fit in told.values():
        assert fit.after > fit.before, fit
    assert move_model(source, found) < 1e-10


def test_a_seed_gives_the_same_bits(strangers):
    anchor, source = map(in_memory, strangers)
    layout = layout_of_model(anchor)
    one, other = (weight_matching(layout, reader(anchor), reader(source), seed=3) for _ in range(2))
    for name, move in one.items():
        assert all(map(np.array_equal, vars(move).values(), vars(other[name]).values()))


@pytest.mark.parametrize("noise", [0.001, 0.02])
@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_siblings_are_left_alone(kind, noise, tmp_path):
    base = random_model(tmp_path / "base", kind)
    models = [fine_tuned(tmp_path / str(seed), base, seed=seed, noise=noise) for seed in (1, 2)]
    anchor, source = map(in_memory, models)
    found = align(Pair(layout_of_model(anchor), reader(anchor), reader(source)), Settings())
    assert found.siblings
    assert found.element == {}
    assert [(fit.moved, fit.after - fit.before) for fit in found.fits] == [(0, 0.0)] * len(GROUPS)


def test_a_sibling_whose_gauge_alone_was_changed_is_no_sibling(folders):
    anchor, source = (in_memory(folders("llama")) for _ in range(2))
    layout = layout_of_model(anchor)
    move_model(source, random_element(layout.only(["values"]), 0))
    found = align(Pair(layout, reader(anchor), reader(source)), Settings())
    assert not found.siblings
    moved = {fit.group: fit.moved for fit in found.fits}
    assert moved == {"residual": 0, "neurons": 0, "heads": 0, "keys": 0, "values": 4}


@pytest.mark.parametrize("groups", [["keys"], ["values"], list(GROUPS)])
def test_strangers_are_no_siblings(groups, strangers):
    anchor, source = map(in_memory, strangers)
    settings = Settings(groups=groups)
    pair = Pair(layout_of_model(anchor), reader(anchor), reader(source))
    found = align(pair, settings)
    assert not found.siblings


def units_in_two_tensors(size: int) -> Layout:
    writes, reads = (Place("neurons", role) for role in ("writes", "reads"))
    tensors = {"in": ((Span("neurons.0", writes),), ()), "out": ((), (Span("neurons.0", reads),))}
    return Layout({"neurons.0": UnitGroup(size, signed=True, scaled=True)}, tensors)


def test_two_neurons_by_hand():
    """The source's second neuron is the anchor's first, times -2 and divided by it."""
    anchor = {"in": np.array([[4.0, 0.0], [0.0, 1.0]]), "out": np.array([[1.0, 0.0], [0.0, 1.0]])}
    source = {"in": np.array([[0.0, 1.0], [-8.0, 0.0]]), "out": np.array([[0.0, -0.5], [1.0, 0.0]])}
    layout = units_in_two_tensors(2)
    found = weight_matching(layout, anchor.__getitem__, source.__getitem__)["neurons.0"]
    assert isinstance(found, Units)
    assert found.order.tolist() == [1, 0]
    np.testing.assert_allclose(found.scales, [-0.5, 1.0])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "weigth_matching"}, "method: unknown aligner 'weigth_matching'; did you mean"),
        ({"groups": ["neuron"]}, "groups: unknown group 'neuron'; did you mean 'neurons'"),
        ({"groups": []}, "groups: found none; available: residual, neurons, heads, keys, values"),
    ],
)
def test_settings_that_do_not_exist_are_refused(settings, message):
    with pytest.raises(AlignmentError, match=message):
        Settings(**settings)
