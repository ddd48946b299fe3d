"""Promises of a running merge: order, threads, errors, and an early end."""

from __future__ import annotations

import threading
from collections import Counter
from itertools import islice
from time import sleep

import numpy as np
import pytest
import torch

from evomerge.checkpoint.source import open_source
from evomerge.errors import MergeError
from evomerge.merging.models import with_sources
from evomerge.merging.plan import plan_merge
from evomerge.merging.stream import Options, run, stream
from evomerge.recipe import Recipe
from tests.merging.tiny import EMBEDDING, UP, collected, llama, model, of_layer, plan_of, recipe

LAYERS = 12


class Watched:
    """A model that counts what is read from it, and fails where it is told to."""

    def __init__(self, source, broken=()):
        self.source, self.broken = source, broken
        self.reads = Counter()

    def __getattr__(self, name):
        return getattr(self.source, name)

    def load(self, name, rows=None, out=None):
        self.reads[name] += 1
        if name in self.broken:
            raise OSError(f"{name}: cannot be read")
        return self.source.load(name, rows, out)


@pytest.fixture
def folders(tmp_path):
    return [model(tmp_path / name, llama(seed, layers=LAYERS)) for seed, name in enumerate("ab")]


@pytest.fixture
def watched(folders):
    """``watched(broken=...)``: a plan, and the models that it reads."""

    def make(**options):
        asked = Recipe.from_tree(recipe("linear", *folders, weight=1))
        sources = {each: Watched(open_source(each), **options) for each in asked.references()}
        return plan_merge(asked, with_sources(asked, sources)), list(sources.values())

    return make


def nothing(*_):
    pass


def named(tensors):
    return {name: tensor.numpy() for name, tensor in tensors}


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_a_stream_yields_in_order_what_a_run_makes(folders, threads):
    plan = plan_of(recipe("linear", *folders, weight=1))
    found = named(stream(plan, Options(threads=threads)))
    assert list(found) == [tensor.info.name for tensor in plan.tensors]
    for name, array in collected(plan).items():
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32", "float64"])
def test_a_stream_yields_tensors_of_torch(folders, dtype):
    plan = plan_of(recipe("linear", *folders, weight=1, dtype=dtype))
    assert {tensor.dtype for _, tensor in stream(plan)} == {getattr(torch, dtype)}


@pytest.mark.parametrize("threads", [1, 3])
def test_every_block_is_handed_over_once(folders, threads):
    plan = plan_of(recipe("linear", *folders, weight=1))
    elements = Counter()
    lock = threading.Lock()

    def count(info, offset, block):
        with lock:
            elements[info.name] += block.size

    done = []
    run(plan, count, Options(threads=threads), done.append)
    assert elements == {tensor.info.name: tensor.info.size for tensor in plan.tensors}
    assert sorted(done) == sorted(elements.values())


def test_nothing_is_read_before_it_is_asked_for(watched):
    plan, sources = watched()
    assert not sources[0].reads
    tensors = stream(plan, Options(threads=1))
    assert not sources[0].reads
    next(tensors)
    assert len(sources[0].reads) <= 4  # a few are made ahead
    tensors.close()


def test_who_stops_asking_stops_the_merge(watched):
    plan, sources = watched()
    before = threading.active_count()
    for name, _ in stream(plan, Options(threads=2)):
        if name != EMBEDDING:
            break
    assert threading.active_count() == before
    assert len(sources[0].reads) < len(plan.tensors) / 2


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_an_error_surfaces_once_and_stops_the_rest(watched, threads):
    # The embedding and the head are the largest after the up-projections: many tensors are left.
    plan, sources = watched(broken=[of_layer(0, UP)])
    before = threading.active_count()
    with pytest.raises(OSError, match=r"layers.0.mlp.up_proj.weight: cannot be read") as caught:
        run(plan, nothing, Options(threads=threads))
    assert caught.value.__context__ is None
    assert threading.active_count() == before
    assert len(sources[0].reads) < len(plan.tensors)


def test_an_error_ends_the_work_on_large_tensors_too(tmp_path):
    # One thread is in the midst of a tensor of thirty blocks when the other one fails.
    large, failed = of_layer(0, "mlp.down_proj.weight"), threading.Event()
    tensors = llama(0) | {large: np.zeros((30 * 128, 1024), np.float32)}
    folder = model(tmp_path / "large", tensors)

    class Slow(Watched):
        def load(self, name, rows=None, out=None):
            if name == large and self.reads[name]:
                failed.wait(10)
                sleep(0.02)
            if name in self.broken:
                failed.set()
            return super().load(name, rows, out)

    asked = Recipe.from_tree(recipe("passthrough", folder))
    sources = {each: Slow(open_source(each), [of_layer(0, UP)]) for each in asked.references()}
    plan = plan_merge(asked, with_sources(asked, sources))
    with pytest.raises(OSError, match="cannot be read"):
        run(plan, nothing, Options(threads=2))
    assert next(iter(sources.values())).reads[large] < 15


def test_an_error_reaches_who_asks_for_the_tensor(watched):
    plan, _ = watched(broken=[of_layer(3, UP)])
    names = [tensor.info.name for tensor in plan.tensors]
    broken = names.index(of_layer(3, UP))
    tensors = stream(plan, Options(threads=2))
    assert [name for name, _ in islice(tensors, broken)] == names[:broken]
    with pytest.raises(OSError, match="cannot be read"):
        next(tensors)
    assert list(tensors) == []


def test_an_error_of_the_sink_surfaces_too(folders):
    plan = plan_of(recipe("linear", *folders, weight=1))

    def full(*_):
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        run(plan, full, Options(threads=2))


def test_a_device_that_is_not_there_is_refused(folders):
    plan = plan_of(recipe("linear", *folders, weight=1))
    with pytest.raises(MergeError, match=r"^--device nonsense: torch finds no such device"):
        run(plan, nothing, Options(device="nonsense"))


def test_a_merge_can_be_run_again(folders):
    plan = plan_of(recipe("ties", folders[1], base=folders[0], weight=1, density=0.3))
    first, second = collected(plan), collected(plan)
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name])
