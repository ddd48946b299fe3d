"""An alignment is found once, whoever asks, and is then read from the cache."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from evomerge.aligners import kept
from evomerge.aligners.base import Settings
from evomerge.alignment.drawing import random_element
from evomerge.alignment.elements import Units
from evomerge.alignment.on_disk import layout_of_source
from evomerge.alignment.packing import packed, unpacked
from evomerge.alignment.rotations import Gains, Rotation
from evomerge.alignment.writing import write_moved
from evomerge.checkpoint.reader import open_checkpoint
from evomerge.checkpoint.source import open_source
from evomerge.errors import AlignmentError, OutputError
from evomerge.recipe import ModelReference
from evomerge.zoo.random_models import random_model
from tests.checkpoint.peft_adapters import factors, hand_made
from tests.measurements.test_models import cache  # noqa: F401 - a folder of its own for each test


@pytest.fixture(scope="module")
def pair(module_folder):
    for seed in range(2):
        random_model(module_folder / str(seed), seed=seed)
    return module_folder / "0", module_folder / "1"


def opened(pair):
    return [open_checkpoint(str(each)) for each in pair]


def same(one, other) -> bool:
    first, second = packed(one), packed(other)
    return first[1] == second[1] and all(map(np.array_equal, first[0].values(), second[0].values()))


def test_what_was_found_is_found_again(pair, monkeypatch, tmp_path):
    source, anchor = opened(pair)
    found = kept.alignment_of(source, anchor, Settings())
    assert found.change <= 1e-5
    assert not found.alignment.siblings
    again = opened([shutil.copytree(each, tmp_path / each.name) for each in pair])
    monkeypatch.setattr(kept, "align", None)  # whoever would align now fails
    read = kept.alignment_of(*again, Settings())
    assert (read.change, read.alignment.fits) == (found.change, found.alignment.fits)
    assert same(read.alignment.element, found.alignment.element)


@pytest.mark.parametrize(
    "settings",
    [
        Settings(seed=1),
        Settings(groups=("neurons",)),
        Settings("zipper"),
        Settings("zipper", options={"mode": "rotation"}),
    ],
)
def test_whatever_decides_an_alignment_names_it(pair, settings):
    source, anchor = opened(pair)
    places = {kept.place_of(source, anchor, each) for each in (Settings(), settings)}
    assert len(places) == 2
    assert kept.place_of(anchor, source, settings) not in places


def test_another_model_has_another_alignment(pair, tmp_path):
    source, anchor = opened(pair)
    place = kept.place_of(source, anchor, Settings())
    config = shutil.copytree(pair[0], tmp_path / "copy") / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "rope_theta": 5.0}))
    assert kept.place_of(open_checkpoint(str(tmp_path / "copy")), anchor, Settings()) != place


def test_files_that_options_name_count_by_content(pair, tmp_path):
    text = tmp_path / "probe.txt"
    text.write_text("one")
    settings = Settings()
    object.__setattr__(settings, "options", {"data": {"file": str(text), "items": 3}})
    source, anchor = opened(pair)
    place = kept.place_of(source, anchor, settings)
    text.write_text("other")
    assert kept.place_of(source, anchor, settings) != place


def test_siblings_move_nothing(pair, tmp_path):
    source, _ = opened(pair)
    copy = open_checkpoint(str(shutil.copytree(pair[0], tmp_path / "copy")))
    for _ in range(2):
        found = kept.alignment_of(source, copy, Settings())
        assert found.alignment.siblings
        assert (found.alignment.element, found.change) == ({}, 0.0)


def test_a_planted_move_is_undone(pair, tmp_path):
    source, _ = opened(pair)
    write_moved(source, random_element(layout_of_source(source), 0), tmp_path / "moved")
    found = kept.alignment_of(open_checkpoint(str(tmp_path / "moved")), source, Settings())
    assert all(fit.after > 0.9999 for fit in found.alignment.fits)


def test_a_model_with_an_adapter_is_aligned_as_what_it_is(pair, tmp_path):
    folder = hand_made(tmp_path / "lora", factors("model.layers.1.self_attn.o_proj", 32, 32))
    source = open_source(ModelReference(str(pair[0]), adapter=str(folder)))
    plain, anchor = opened(pair)
    assert kept.place_of(source, anchor, Settings()) != kept.place_of(plain, anchor, Settings())
    assert kept.alignment_of(source, anchor, Settings()).change <= 1e-5


def test_what_would_change_the_model_is_refused_and_not_kept(pair, monkeypatch):
    source, anchor = opened(pair)
    right = kept.align

    def wrong(asked, settings):
        found = right(asked, settings)
        stream = found.element["residual"]
        scaled = {"residual": Units(stream.order, stream.scales * 2)}
        return replace(found, element={**found.element, **scaled})

    monkeypatch.setattr(kept, "align", wrong)
    with pytest.raises(AlignmentError, match="no symmetry of this model"):
        kept.alignment_of(source, anchor, Settings())
    assert not kept.place_of(source, anchor, Settings()).exists()


def test_a_cache_that_cannot_be_written_is_named(pair, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("EVOMERGE_CACHE", str(tmp_path / "file"))
    with pytest.raises(OutputError, match="EVOMERGE_CACHE"):
        kept.alignment_of(*opened(pair), Settings())


def test_moves_of_every_kind_are_packed_whole(pair):
    source, _ = opened(pair)
    element = random_element(layout_of_source(source), 3)
    gains = {"model.norm.weight": Gains(np.arange(3.0), np.ones(3), 1.0)}
    element = {**element, "residual": Rotation(np.eye(3)[::-1], gains)}
    arrays, tree = packed(element)
    again = unpacked(arrays, json.loads(json.dumps(tree)))
    assert same(again, element)
    assert {name: type(each) for name, each in again.items()} == {
        name: type(each) for name, each in element.items()
    }
    assert again["residual"].gains["model.norm.weight"].base == 1.0
