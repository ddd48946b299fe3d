"""Candidates that align their models: what is built is what is exported, and each way is one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from evomerge.aligners import kept
from evomerge.recipe import ModelReference, Recipe
from evomerge.workbench import Aligning, Workbench, memory_plan
from evomerge.zoo.random_models import Options, random_model
from evomerge.zoo.small_tokenizers import word_tokenizer
from tests.workbench.benches import CPU, WORDS, assert_same, bench, exported

WAYS = ("none", "weight_matching", {"method": "weight_matching", "groups": ["neurons"]})


@pytest.fixture(scope="module")
def models(module_folder: Path) -> list[Path]:
    """Two strangers."""
    options = Options(tokenizer=word_tokenizer(WORDS))
    return [random_model(module_folder / str(n), seed=n, options=options) for n in range(2)]


def mean(models: list[Path], align: object = "weight_matching", weight: object = 0.5, **rest):
    entries = [{"model": str(models[0])}, {"model": str(models[1]), "align": align}]
    tree = {"merge_method": "linear", "models": entries, "parameters": {"weight": weight}}
    return Recipe.from_tree(tree | rest)


def references(models: list[Path]) -> list[ModelReference]:
    return [ModelReference(str(model)) for model in models]


@pytest.mark.parametrize("resident", [True, False])
def test_whatever_way_is_asked_for_is_what_is_exported(models, tmp_path, resident):
    with bench(models, replace(CPU, resident=resident)) as workbench:
        for number, align in enumerate([*WAYS, *WAYS]):
            asked = mean(models, align, weight=[0.2, 0.9])
            found = workbench.build(asked)
            assert_same(found, exported(asked, tmp_path / str(number)))


def test_a_way_is_one_for_all_candidates(models):
    with bench(models) as workbench:
        first = workbench.plan(mean(models)).models
        other = workbench.plan(mean(models, weight=0.7)).models
        assert other is first
        method = {"merge_method": "slerp", "base_model": str(models[0]), "parameters": {"t": 0.5}}
        slerp = workbench.plan(mean(models, **method)).models
        aligned = ModelReference(str(models[1]))
        assert slerp.by_reference[aligned].source is first.by_reference[aligned].source
        plain = workbench.plan(mean(models, "none")).models.by_reference[aligned].source
        assert plain is not first.by_reference[aligned].source


def test_only_what_changed_is_merged(models):
    with bench(models) as workbench:
        workbench.build(mean(models))
        everything = workbench.merged
        workbench.build(mean(models))
        assert (everything, workbench.merged) == (21, 0)
        neurons = {"method": "weight_matching", "groups": ["neurons"]}
        workbench.build(mean(models, neurons))
        assert workbench.merged == everything


def test_an_aligned_model_that_stands_alone_is_read_where_it_stands(models, tmp_path):
    way = {"method": "weight_matching", "to": str(models[0])}
    entries = [{"model": str(models[1]), "align": way}]
    asked = Recipe.from_tree({"merge_method": "passthrough", "models": entries})
    with bench(models) as workbench:
        assert_same(workbench.build(asked), exported(asked, tmp_path / "out"))
        assert workbench.merged == 0


def test_nothing_is_found_or_held_before_it_is_asked_for(models, monkeypatch):
    monkeypatch.setattr(kept, "alignment_of", None)
    with bench(models) as workbench:
        workbench.build(mean(models, "none"))
        plan = workbench.plan(mean(models, {"method": "weight_matching", "seed": 3}))
        aligned = plan.models.by_reference[ModelReference(str(models[1]))].source
        assert aligned.nbytes == 0


def test_what_is_being_found_is_said_once(models, monkeypatch, tmp_path):
    monkeypatch.setenv("EVOMERGE_CACHE", str(tmp_path / "cache"))
    for times in (1, 0):
        said: list[str] = []
        with Workbench(references(models), CPU, Aligning(tell=said.append)) as workbench:
            for weight in (0.2, 0.4):
                workbench.build(mean(models, weight=weight))
        assert said == ["aligning 1 to 0 by weight_matching"] * times


def test_a_model_in_a_new_vocabulary_is_held_as_it_was_moved(models, tmp_path):
    tokens = {"tokenizer": {"source": "base", "pad_to_multiple_of": 64}}
    asked = mean(models, base_model=str(models[0]), **tokens)
    with bench(models) as workbench:
        workbench.build(mean(models, "none"))
        assert_same(workbench.build(asked), exported(asked, tmp_path / "out"))


def test_each_way_takes_memory_of_its_own(models):
    size = sum(each.stat().st_size for each in models[1].glob("*.safetensors"))
    plans = [
        memory_plan(references(models), mean(models, WAYS[0]), CPU, [mean(models, w) for w in ways])
        for ways in (WAYS[:1], WAYS[:2], WAYS, [*WAYS, *WAYS])
    ]
    one, two, three, again = (plan.sources for plan in plans)
    assert two - one == three - two == pytest.approx(size, rel=0.1)
    assert again == three
