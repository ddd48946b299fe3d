"""A model that is read moved: any set of its rows is that of the tensor that was moved whole."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import repeat

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evomerge.alignment.drawing import random_element
from evomerge.alignment.elements import Element
from evomerge.alignment.folding import turned
from evomerge.alignment.layout import Layout
from evomerge.alignment.moving import moved
from evomerge.alignment.on_disk import layout_of_source
from evomerge.alignment.source import Aligned
from evomerge.checkpoint.reader import Checkpoint, open_checkpoint
from evomerge.dtypes import BFLOAT16, FLOAT32
from tests.alignment.kinds import KINDS

PERMUTED = ("residual", "neurons", "heads")
TURNED = "turned"


@cache
def opened(folder, groups=None) -> tuple[Checkpoint, Layout, Element]:
    """A model, and a random move of some groups; of a rotated stream, if that is asked for."""
    source = open_checkpoint(str(folder))
    layout = layout_of_source(source)
    moving = layout if groups is None else layout.only([each for each in groups if each != TURNED])
    if TURNED in (groups or ()):
        moving = turned(moving, source.load)
    return source, layout, random_element(moving, 0)


@pytest.mark.parametrize("kind", KINDS)
def test_tensors_are_those_that_were_moved(kind, folders):
    source, layout, element = opened(folders(kind))
    read = Aligned(source, layout, lambda: element, exact=False)
    assert read.names() == source.names()
    for name in read.names():
        expected = moved(source.load(name), layout.tensors.get(name, ()), element)
        np.testing.assert_array_equal(read.load(name), expected, strict=True)
        assert read.info(name) == source.info(name)


@pytest.mark.parametrize(
    ("kind", "groups"),
    [
        ("llama", None),
        ("llama", PERMUTED),
        ("llama", ("residual", TURNED)),
        ("gpt2", None),
        ("phi3", PERMUTED),
        ("gpt_neox", PERMUTED),
    ],
)
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40
)
@given(data=st.data())
def test_any_rows_are_those_of_the_whole(data, kind, groups, folders):
    """A cut, or any rows in any order, some of them twice; whatever a thread has read before."""
    source, layout, element = opened(folders(kind), groups)
    read = Aligned(source, layout, lambda: element, exact=False)
    name = data.draw(st.sampled_from([n for n in source.names() if len(source.info(n).shape) == 2]))
    count = source.info(name).shape[0]
    whole = moved(source.load(name), layout.tensors[name], element)
    cut = st.builds(slice, st.integers(0, count), st.integers(0, count))
    some = st.lists(st.integers(0, count - 1), min_size=1).map(np.array)
    for rows in data.draw(st.lists(cut | some, min_size=1, max_size=3)):
        np.testing.assert_array_equal(read.load(name, rows), whole[rows], strict=True)


def test_threads_share_one_model(folders):
    source, layout, element = opened(folders("llama"))
    read = Aligned(source, layout, lambda: element, exact=False)
    names = [n for n in source.names() if len(source.info(n).shape) == 2]
    wholes = {name: moved(source.load(name), layout.tensors[name], element) for name in names}
    cuts = [(name, slice(start, start + 5)) for start in range(0, 32, 5) for name in names] * 5
    with ThreadPoolExecutor(8) as pool:
        blocks = pool.map(lambda read, cut: read.load(*cut), repeat(read), cuts)
        for (name, cut), block in zip(cuts, blocks, strict=False):
            np.testing.assert_array_equal(block, wholes[name][cut])


def test_sixteen_bits_stay_where_numbers_change_places_and_signs(folders):
    source, layout, element = opened(folders("llama", dtype="bfloat16"), ("residual", "heads"))
    read = Aligned(source, layout, lambda: element, exact=True)
    for name in read.names():
        assert read.info(name).dtype == read.load(name).dtype == BFLOAT16
        assert read.load(name, slice(0, 2)).dtype == BFLOAT16


def test_sixteen_bits_become_thirty_two_where_they_get_factors(folders):
    source, layout, element = opened(folders("llama", dtype="bfloat16"))
    read = Aligned(source, layout, lambda: element, exact=False)
    for name in read.names():
        assert read.info(name).dtype == read.load(name).dtype == FLOAT32
        wide = source.load(name).astype(np.float32)
        expected = moved(wide, layout.tensors.get(name, ()), element)
        np.testing.assert_array_equal(read.load(name), expected)


def test_nothing_is_lost_where_more_moves_than_was_foreseen(folders):
    source, layout, element = opened(folders("llama", dtype="bfloat16"))
    read = Aligned(source, layout, lambda: element, exact=True)
    name = "model.layers.0.self_attn.v_proj.weight"
    expected = moved(source.load(name).astype(np.float32), layout.tensors[name], element)
    np.testing.assert_array_equal(read.load(name), expected, strict=True)
