"""Two models that compute the same have the same units; strangers share what their spaces share."""

from __future__ import annotations

import json

import numpy as np
import pytest

from evomerge.alignment.drawing import random_element
from evomerge.alignment.on_disk import layout_of_source
from evomerge.alignment.writing import write_moved
from evomerge.checkpoint.reader import open_checkpoint
from evomerge.errors import AlignmentError, MergeError, VocabularyError
from evomerge.evaluators.base import make_evaluator
from evomerge.inspection.convergence import convergence
from evomerge.inspection.line import line_between
from evomerge.recipe import ModelReference
from evomerge.recipe.data import Data
from evomerge.workbench import Settings, Workbench
from evomerge.zoo.random_models import Options, fine_tuned, random_model
from evomerge.zoo.small_tokenizers import word_tokenizer
from tests.inspection.models import load

WORDS = tuple(f"w{number}" for number in range(80))
OPTIONS = {"layers": 2, "hidden": 16, "tokenizer": word_tokenizer(WORDS)}
KINDS = ("llama", "gpt2", "gemma3", "gpt_neox", "phi3")


@pytest.fixture(scope="module")
def text(module_folder):
    words = np.random.default_rng(0).choice(WORDS, 1100)
    file = module_folder / "words.txt"
    file.write_text(" ".join(words), "utf-8")
    return file


@pytest.fixture(scope="module")
def made(module_folder):
    def make(kind="llama", seed=0, words=None, **options):
        name = "-".join(
            [kind, str(seed), *map(str, options.values()), *([words[0]] if words else ())]
        )
        options |= {"tokenizer": word_tokenizer(words)} if words else {}
        folder = module_folder / name
        if not folder.exists():
            random_model(folder, kind, seed=seed, options=Options(**{**OPTIONS, **options}))
        return folder

    return make


def compared(one, other, text, **settings):
    data = Data(**{"file": str(text), "items": 8, "length": 128, **settings})
    return convergence(open_checkpoint(str(one)), open_checkpoint(str(other)), data)


@pytest.mark.parametrize("kind", KINDS)
def test_a_copy_that_was_moved_is_recognised_unit_by_unit(kind, tmp_path, made, text):
    folder = made(kind)
    source = open_checkpoint(str(folder))
    element = random_element(layout_of_source(source), 1)
    write_moved(source, element, tmp_path / "moved")
    found = compared(folder, tmp_path / "moved", text)
    assert (found.first, found.second, found.tokens, found.held_out) == (
        folder.name, "moved", 1024, 256
    )  # fmt: skip
    kinds = [(place.kind, place.layer) for place in found.places]
    assert kinds == [
        ("residual", None),
        *(each for n in (0, 1) for each in (("heads", n), ("neurons", n), ("residual", n))),
    ]
    for place in found.places:
        one = place.partners
        name = place.kind if place.kind == "residual" else f"{place.kind}.{place.layer}"
        order = element[name].order
        assert one.one_to_one > 0.999
        assert (one.pairs.first == order[one.pairs.second]).all(), name
        assert one.gap < 1e-4
        assert not len(one.rare.first)
        assert not len(one.rare.second)
        assert place.of_mixes < 0.97
        if place.kind == "heads":
            assert place.maps == ()
        else:
            assert place.maps[-1].explained > 0.99


def test_swapping_the_models_swaps_what_is_said_of_them(made, text):
    one, other = made(seed=0), made(seed=1)
    there, back = compared(one, other, text), compared(other, one, text)
    assert (there.first, there.second) == (back.second, back.first)
    for mine, theirs in zip(there.places, back.places, strict=True):
        assert mine.title == theirs.title
        assert mine.partners.one_to_one == pytest.approx(theirs.partners.one_to_one, abs=1e-5)
        assert mine.partners.first_best == pytest.approx(theirs.partners.second_best, abs=1e-5)
        for sides in ("pairs", "rare"):
            ours, others = getattr(mine.partners, sides), getattr(theirs.partners, sides)
            assert sorted(ours.first) == sorted(others.second)
        assert mine.clusters.threshold == theirs.clusters.threshold
        assert len(mine.clusters.many) == len(theirs.clusters.many)


def test_siblings_stand_alike_and_strangers_do_not(tmp_path, made, text):
    base = made()
    tuned = fine_tuned(tmp_path / "tuned", base, seed=1)
    near, far = compared(base, tuned, text), compared(base, made(seed=1), text)
    for mine, theirs in zip(near.places, far.places, strict=True):
        assert mine.partners.one_to_one > theirs.partners.one_to_one
        assert mine.partners.in_place == mine.units[0]
    strange = [place.partners.in_place / place.units[0] for place in far.places]
    assert np.mean(strange) < 0.5
    # What strangers' streams have in common is their space, and not their units.
    streams = [place for place in far.places if place.kind == "residual"]
    for place in streams:
        assert abs(place.partners.one_to_one - place.of_mixes) < 0.1


def test_widths_may_differ(made, text):
    found = compared(made(), made(hidden=32), text)
    assert [place.units[0] for place in found.places if place.kind == "residual"] == [16] * 3
    for place in found.places:
        assert len(place.partners.pairs.first) == min(place.units)
        assert len(set(place.partners.pairs.second.tolist())) == min(place.units)


def test_signs_count_where_the_family_has_none(tmp_path, made, text):
    """GPT-2 subtracts means, so no unit of its stream may be negated; of Llama's any may."""
    signed, free = (compared(made(kind), made(kind, seed=1), text) for kind in ("gpt2", "llama"))
    gaps = [found.places[0].partners.one_to_one for found in (signed, free)]
    assert gaps[0] < gaps[1]


@pytest.mark.parametrize(
    ("options", "settings", "error", "message"),
    [
        ({"kind": "gpt2"}, {}, AlignmentError, "gpt2-0: is GPT-2, llama-0 is Llama; only units of"),
        ({"layers": 3}, {}, AlignmentError, "llama-0-3: has 3 layers, llama-0 2; units are"),
        (
            {"words": WORDS[::-1]},
            {},
            VocabularyError,
            "w79: reads the text as other tokens than llama-0; units are compared token by token",
        ),
        ({"seed": 1}, {"items": 9}, MergeError, "words.txt: 1101 tokens of llama-0, and 1152 are"),
    ],
)  # fmt: skip
def test_what_cannot_be_compared(options, settings, error, message, made, text):
    with pytest.raises(error, match=message):
        compared(made(), made(**options), text, **settings)


def test_mixtures_are_refused_by_name(made, text):
    with pytest.raises(AlignmentError, match="mixtral-0: Mixtral is a mixture of experts"):
        compared(made("mixtral"), made("mixtral", seed=1), text)


def test_a_model_that_reads_less_at_once_sets_the_length(made, tmp_path, text):
    one, other = made(), tmp_path / "short"
    random_model(other, seed=3, options=Options(**OPTIONS))
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 50}))
    there, back = compared(one, other, text), compared(other, one, text)
    assert there.tokens == back.tokens == 1000
    assert there.held_out == 250


def test_a_line_has_both_models_at_its_ends(made, text):
    models = [ModelReference(str(made(seed=seed))) for seed in (0, 1)]
    evaluator = make_evaluator({"name": "perplexity", "file": text, "window": 64})
    shares = (0.0, 0.25, 1.0)
    with Workbench(models, Settings("cpu")) as bench:
        line = line_between((models[0], models[1]), shares, bench.build, evaluator)
    ends = [evaluator.evaluate(load(model.path)).measures[0].value for model in models]
    assert (line.values[0], line.values[-1]) == pytest.approx(ends, rel=1e-6)
    straight = 0.75 * ends[0] + 0.25 * ends[1]
    assert line.barrier == pytest.approx(max(0, line.values[1] - straight), abs=1e-6)
    assert line.shares == shares
