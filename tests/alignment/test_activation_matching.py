"""Activation matching finds what was planted, by what units do and not by their weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from safetensors.torch import load_file, save_file

from evomerge.aligners.base import Pair, Settings, align
from evomerge.aligners.pairs import align_sources
from evomerge.alignment import activation_matching as core
from evomerge.alignment.activation_matching import (
    STATISTICS,
    Shown,
    activation_matching,
    prepared,
)
from evomerge.alignment.drawing import random_element
from evomerge.alignment.elements import Units, invert
from evomerge.alignment.layout import GROUPS, Layout, Span, UnitGroup
from evomerge.alignment.on_disk import layout_of_source
from evomerge.alignment.places import Place
from evomerge.alignment.writing import write_moved
from evomerge.checkpoint.reader import open_checkpoint
from evomerge.errors import AlignmentError
from evomerge.measurements.units import unit_activations
from evomerge.zoo.random_models import random_model
from evomerge.zoo.small_tokenizers import byte_tokenizer
from tests.alignment.kinds import KINDS
from tests.measurements.tiny import models, texts

TOKENS = torch.randint(60, (4, 16), generator=torch.Generator().manual_seed(0))


def shown(anchor, source, layout):
    """What units of two models do on some tokens."""
    both = (unit_activations(model, TOKENS, layout.readers()) for model in (anchor, source))
    for (group, first), (_, other) in zip(*both, strict=True):
        yield Shown(group, first, other)


def matched(anchor, source, layout, statistic="correlation"):
    seen = shown(anchor, source, layout)
    return activation_matching(layout, anchor.load, source.load, seen, statistic)


def moved_copy(source, out, seed=0, groups=GROUPS):
    """Writes a model that was moved at random, and gives what was done."""
    planted = random_element(layout_of_source(source).only(groups), seed)
    assert write_moved(source, planted, out) <= 1e-5
    return planted


@pytest.mark.parametrize("kind", KINDS)
def test_planted_symmetries_are_recovered(kind, folders, tmp_path):
    """All groups at once, in all families; the copy is then the anchor again."""
    anchor = open_checkpoint(str(folders(kind)))
    planted = moved_copy(anchor, tmp_path / "moved")
    source = open_checkpoint(str(tmp_path / "moved"))
    found = matched(anchor, source, layout_of_source(source))
    for name, move in invert(planted).items():
        assert (found[name].order == move.order).all()
    assert write_moved(source, found, tmp_path / "back") <= 1e-5
    back = open_checkpoint(str(tmp_path / "back"))
    for name in anchor.names():
        np.testing.assert_allclose(back.load(name), anchor.load(name), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("statistic", STATISTICS)
def test_each_statistic_recovers_a_copy(statistic, folders, tmp_path):
    anchor = open_checkpoint(str(folders("llama")))
    planted = moved_copy(anchor, tmp_path / "moved", seed=1)
    source = open_checkpoint(str(tmp_path / "moved"))
    found = matched(anchor, source, layout_of_source(source), statistic)
    for name, move in invert(planted).items():
        assert (found[name].order == move.order).all()


@pytest.mark.parametrize("groups", [["keys", "values"], ["neurons"], ["residual", "heads"]])
def test_only_what_is_asked_for_is_moved(groups, folders, tmp_path):
    anchor = open_checkpoint(str(folders("qwen2")))
    planted = moved_copy(anchor, tmp_path / "moved", groups=groups)
    source = open_checkpoint(str(tmp_path / "moved"))
    found = matched(anchor, source, layout_of_source(source).only(groups))
    assert set(found) == set(planted)
    assert write_moved(source, found, tmp_path / "back") <= 1e-5
    back = open_checkpoint(str(tmp_path / "back"))
    for name in anchor.names():
        np.testing.assert_allclose(back.load(name), anchor.load(name), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("statistic", STATISTICS)
@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_strangers_compute_what_they_did(kind, statistic, tmp_path):
    anchor, source = (
        open_checkpoint(str(random_model(tmp_path / str(seed), kind, seed=seed)))
        for seed in range(2)
    )
    found = matched(anchor, source, layout_of_source(source), statistic)
    assert any(move.moved() for move in found.values())
    assert write_moved(source, found, tmp_path / "out") <= 1e-5


def one_layer(size: int, **free: bool) -> Layout:
    """Neurons that nothing tells of but what they do."""
    writes = Span("neurons.0", Place("neurons", "writes"))
    return Layout({"neurons.0": UnitGroup(size, **free)}, {"in": ((writes,), ())})


def by_hand(first, other, statistic, **free: bool) -> Units:
    """The move of units that do this."""
    weights = {"in": np.ones((len(first[0]), 1))}.__getitem__
    seen = [Shown("neurons.0", np.array(first), np.array(other))]
    layout = one_layer(len(first[0]), **free)
    return activation_matching(layout, weights, weights, seen, statistic)["neurons.0"]


def test_two_units_by_hand():
    """Three inputs. The source's second unit does what the anchor's first does, times -2."""
    anchor = [[1.0, 0.0], [2.0, 1.0], [0.0, 1.0]]
    source = [[0.0, -2.0], [1.0, -4.0], [1.0, 0.0]]
    signed = by_hand(anchor, source, "raw", signed=True)
    assert signed.order.tolist() == [1, 0]
    assert signed.scales.tolist() == [-1.0, 1.0]
    # Without signs: 1 * -10 + 2 against 2 + 1 * -4.
    assert by_hand(anchor, source, "raw").order.tolist() == [0, 1]


def test_statistics_differ_by_hand():
    """A unit that is always large looks like every large one, until its mean is taken away."""
    anchor = [[9.0, 0.0], [8.0, 1.0], [9.0, 0.0], [8.0, 1.0]]
    source = [[9.0, 1.0], [9.2, 0.0], [9.0, 1.0], [9.2, 0.0]]
    assert by_hand(anchor, source, "raw").order.tolist() == [0, 1]
    assert by_hand(anchor, source, "centred").order.tolist() == [1, 0]
    # The first of the source varies ten times as much; what counts is how it varies.
    source = [[0.0, 0.3], [10.0, 1.0], [0.0, 0.6], [10.0, 0.8]]
    anchor = [[0.0, 0.0], [1.0, 3.0], [0.2, 0.0], [0.9, 3.0]]
    assert by_hand(anchor, source, "centred").order.tolist() == [1, 0]
    assert by_hand(anchor, source, "correlation").order.tolist() == [1, 0]


def test_sums_over_many_inputs_are_those_of_the_whole(monkeypatch):
    random = np.random.default_rng(0)
    first, other = (random.normal(size=(50, 6)) for _ in range(2))
    whole = by_hand(first, other, "centred", signed=True)
    monkeypatch.setattr(core, "CHUNK", 7)
    parts = by_hand(first, other, "centred", signed=True)
    assert (whole.order == parts.order).all()
    assert (whole.scales == parts.scales).all()


seen_units = st.tuples(st.integers(2, 6), st.integers(1, 4)).flatmap(
    lambda shape: arrays(np.float64, shape, elements=st.floats(-8, 8, width=32))
)
varied_units = seen_units.filter(lambda seen: (np.ptp(seen, axis=0) > 1e-3).all())


@given(seen_units, st.integers(-4, 4))
def test_an_offset_is_nothing_once_centred(seen, offset):
    np.testing.assert_allclose(
        prepared(seen + offset, "centred"), prepared(seen, "centred"), atol=1e-9
    )


@given(varied_units)
def test_correlations_are_those_of_numpy(seen):
    units = prepared(seen, "correlation")
    expected = np.corrcoef(seen, rowvar=False).reshape(seen.shape[1], -1)
    np.testing.assert_allclose(units.T @ units, expected, atol=1e-9)


def test_a_unit_that_does_nothing_correlates_with_none():
    seen = np.array([[1.0, 3.0], [2.0, 3.0]])
    assert (prepared(seen, "correlation")[:, 1] == 0).all()


@pytest.fixture
def copies(tmp_path):
    """A model that knows bytes, and a copy that was moved."""
    anchor = open_checkpoint(str(models(tmp_path, vocabulary=None)[0]))
    moved_copy(anchor, tmp_path / "moved")
    return anchor, open_checkpoint(str(tmp_path / "moved"))


def settings(**options) -> Settings:
    return Settings("activation_matching", options=options)


@pytest.mark.parametrize("given_text", [False, True])
def test_a_copy_is_recovered_on_a_text(given_text, copies, tmp_path):
    anchor, source = copies
    options = {"data": str(texts(tmp_path, 90)), "tokens": 256} if given_text else {}
    found = align_sources(source, anchor, settings(**options))
    assert min(fit.after for fit in found.fits) > 1 - 1e-6
    again = align_sources(source, anchor, settings(**options))
    for name, move in found.element.items():
        assert all(map(np.array_equal, vars(move).values(), vars(again.element[name]).values()))


def test_siblings_are_left_alone(tmp_path):
    source, anchor = (open_checkpoint(str(each)) for each in models(tmp_path))
    found = align_sources(source, anchor, settings())
    assert found.siblings
    assert found.element == {}


def test_gauges_alone_need_no_text(copies):
    anchor, source = copies
    asked = Settings("activation_matching", ("keys", "values"), options={"data": "not there"})
    assert set(align_sources(source, anchor, asked).element) == {"heads.0", "heads.1"}


def infinite(source):
    """What the first unit of the last layer does is more than a number can be."""
    file = source.folder / "model.safetensors"
    tensors = load_file(file)
    for name in ("gate", "up"):
        tensors[f"model.layers.1.mlp.{name}_proj.weight"][0] = 1e38
    save_file(tensors, file, {"format": "pt"})


def renumbered(source):
    """The model knows no words any more, only letters."""
    byte_tokenizer(()).save_pretrained(source.folder)


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (None, {"data": "not there.txt"}, "not there.txt: No such file or directory"),
        (None, {"data": "short"}, r"short: \d+ tokens of moved, and 2048 are asked for; give a"),
        (None, {"tokens": 15}, "tokens: found 15; expected 16 or more, as many as the residual"),
        (infinite, {}, "moved: neurons.1: holds NaN or infinity on this text"),
        (renumbered, {"data": "words", "tokens": 128}, "moved: its tokenizer makes other tokens"),
    ],
)
def test_what_cannot_be_shown_is_refused(change, options, message, copies, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    texts(tmp_path, 2, name="short")
    (tmp_path / "words").write_text("the cat sat on a mat " * 40, "utf-8")
    if change is not None:
        change(copies[1])
    with pytest.raises(AlignmentError, match=message):
        align_sources(open_checkpoint("moved"), copies[0], settings(**options))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"statistic": "corelation"}, "statistic: unknown statistic 'corelation'; did you mean"),
        ({"statistic": 5}, "statistic: unknown statistic '5'"),
        ({"data": 5}, "data: found 5; expected the name of a file"),
        ({"tokens": 0}, "tokens: found 0; expected a whole number from 1"),
        ({"token": 9}, "activation_matching: unknown key 'token'; did you mean 'tokens'"),
    ],
)
def test_options_that_do_not_exist_are_refused(options, message):
    with pytest.raises(AlignmentError, match=message):
        settings(**options)


def test_weights_alone_are_refused():
    layout = one_layer(2)
    weights = {"in": np.eye(2)}.__getitem__
    with pytest.raises(AlignmentError, match="found weights alone; expected models that can be"):
        align(Pair(layout, weights, weights), Settings("activation_matching", ["neurons"]))
