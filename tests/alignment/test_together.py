"""Several models brought to each other: each computes what it did, and none is the anchor."""

from __future__ import annotations

import numpy as np
import pytest

from evomerge.aligners.base import Settings
from evomerge.aligners.pairs import align_sources
from evomerge.aligners.together import align_sources_together
from evomerge.alignment.drawing import random_element
from evomerge.alignment.moving import moved
from evomerge.alignment.on_disk import layout_of_source
from evomerge.alignment.writing import write_moved
from evomerge.checkpoint.reader import open_checkpoint
from evomerge.errors import AlignmentError
from evomerge.zoo.random_models import random_model
from tests.measurements.tiny import models

FAMILIES = ["llama", "gpt2", "qwen3", "gpt_neox", "phi3"]


def moved_copies(source, folder, count):
    """Models that compute what a model does, their units elsewhere."""
    for seed in range(count):
        write_moved(source, random_element(layout_of_source(source), seed), folder / f"copy{seed}")
        yield open_checkpoint(str(folder / f"copy{seed}"))


def tensors(source, element=None):
    """What is in a model after an element has acted on it."""
    layout = layout_of_source(source)
    return {
        name: moved(source.load(name), layout.tensors[name], element or {})
        for name in source.names()
        if name in layout.tensors
    }


@pytest.mark.parametrize("kind", FAMILIES)
def test_copies_in_any_order_become_the_first(kind, folders, tmp_path):
    original = open_checkpoint(str(folders(kind)))
    sources = [original, *moved_copies(original, tmp_path, 2)]
    found = align_sources_together(sources)
    assert found[0].element == {}
    assert not found[0].siblings
    for source, each in zip(sources, found, strict=True):
        for name, tensor in tensors(source, each.element).items():
            np.testing.assert_allclose(tensor, original.load(name), rtol=1e-4, atol=1e-5)
        assert min(fit.after for fit in each.fits) > 1 - 1e-6


@pytest.fixture(scope="module")
def strangers(session_folder):
    """Three models that never met."""
    folder = session_folder / "together"
    made = (random_model(folder / str(seed), "llama", seed=seed) for seed in range(3))
    return [open_checkpoint(str(each)) for each in made]


@pytest.fixture(scope="module")
def brought(strangers):
    """What brings them to each other."""
    return align_sources_together(strangers)


def nearness(sources, elements) -> float:
    """The sum of the inner products of all pairs, but for what is alike at any move."""
    total = 0.0
    every = [tensors(source, element) for source, element in zip(sources, elements, strict=True)]
    for name in every[0]:
        stack = np.stack([each[name].astype(np.float64) for each in every])
        total += ((stack.sum(0) ** 2).sum() - (stack**2).sum()) / 2
    return total


def test_strangers_come_nearer_than_by_an_anchor(strangers, tmp_path):
    """What has no factors: of these the inner product has no maximum."""
    groups = ("residual", "heads")
    found = align_sources_together(strangers, groups)
    to_the_first = [
        {},
        *(align_sources(s, strangers[0], Settings(groups=groups)).element for s in strangers[1:]),
    ]
    as_they_are, anchored, together = (
        nearness(strangers, elements)
        for elements in ([{}] * 3, to_the_first, [each.element for each in found])
    )
    assert together > anchored > as_they_are
    for source, each in zip(strangers, found, strict=True):
        out = tmp_path / source.label
        assert write_moved(source, each.element, out) <= 1e-5


def test_each_comes_nearer_to_the_mean_of_the_others(brought):
    for each in brought:
        told = {fit.group: fit for fit in each.fits}
        assert set(told) == {"residual", "neurons", "heads", "keys", "values"}
        for fit in told.values():
            assert fit.after > fit.before, fit


def test_what_is_found_is_a_symmetry(strangers, brought, tmp_path):
    for source, each in zip(strangers, brought, strict=True):
        assert write_moved(source, each.element, tmp_path / source.label) <= 1e-5


def test_a_seed_gives_the_same_bits(strangers, brought):
    for mine, theirs in zip(align_sources_together(strangers), brought, strict=True):
        assert mine.fits == theirs.fits
        for name, move in mine.element.items():
            others = vars(theirs.element[name]).values()
            assert all(map(np.array_equal, vars(move).values(), others))


def test_siblings_are_left_alone(tmp_path):
    sources = [open_checkpoint(str(each)) for each in models(tmp_path)]
    for each in align_sources_together(sources):
        assert each.siblings
        assert each.element == {}


def test_two_are_as_the_second_brought_to_the_first(strangers):
    pair = strangers[:2]
    together = align_sources_together(pair)[1]
    anchored = align_sources(pair[1], pair[0], Settings())
    for mine, theirs in zip(together.fits, anchored.fits, strict=True):
        assert mine.after == pytest.approx(theirs.after, abs=1e-6)


def test_what_cannot_come_together_is_refused(strangers, folders, session_folder):
    with pytest.raises(AlignmentError, match="models: found 1; expected two or more"):
        align_sources_together(strangers[:1])
    other = open_checkpoint(str(folders("gpt2")))
    with pytest.raises(AlignmentError, match="only models of one family are aligned"):
        align_sources_together([*strangers, other])
