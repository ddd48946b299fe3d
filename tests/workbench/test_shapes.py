"""Candidates of another shape: depth, vocabulary, ties. The model is made anew, and goes back."""

from __future__ import annotations

from pathlib import Path

import pytest

from evomerge.recipe import Recipe
from evomerge.zoo.random_models import Options, random_model
from evomerge.zoo.small_tokenizers import word_tokenizer
from tests.workbench.benches import WORDS, assert_same, bench, exported, recipe, siblings


def stacked(*slices: list[tuple[Path, int, int]], **rest) -> Recipe:
    """Passthrough of layers; of several sources a mean."""
    parts = [
        {"sources": [{"model": str(m), "layer_range": [first, end]} for m, first, end in sources]}
        for sources in slices
    ]
    method = "passthrough" if all(len(sources) == 1 for sources in slices) else "linear"
    parameters = {"weight": 1.0} if method == "linear" else {}
    tree = {"merge_method": method, "slices": parts, "parameters": parameters}
    return Recipe.from_tree(tree | rest)


@pytest.mark.parametrize("family", ["llama", "gemma3", "gpt2", "mixtral"])
def test_depth_follows_the_slices_and_goes_back(tmp_path: Path, family: str):
    base, first, second = siblings(tmp_path / "models", family)
    asked = [
        recipe("linear", None, [first, second], weight=[0.3, 0.7]),
        stacked([(first, 0, 2)], [(second, 1, 2)], [(base, 0, 1)]),
        stacked([(first, 1, 2), (second, 0, 1)]),
    ]
    expected = [exported(each, tmp_path / str(i)) for i, each in enumerate(asked)]
    with bench([base, first, second]) as workbench:
        models = [workbench.build(asked[0])]
        for i in (1, 2, 0):
            models.append(workbench.build(asked[i]))
            assert_same(models[-1], expected[i])
    assert len({id(each.model) for each in models}) == 4


def test_slices_of_one_shape_share_the_model(tmp_path: Path):
    """Which layers come from where is a matter of weights, as long as there are as many."""
    _, first, second = siblings(tmp_path / "models")
    asked = [
        stacked([(first, 0, 1)], [(second, 0, 1)], base_model=str(first)),
        stacked([(second, 0, 1)], [(first, 1, 2)], base_model=str(first)),
    ]
    with bench([first, second]) as workbench:
        one = workbench.build(asked[0])
        other = workbench.build(asked[1])
        assert other.model is one.model
        assert_same(other, exported(asked[1], tmp_path / "out"))


@pytest.fixture
def speakers(tmp_path: Path) -> list[Path]:
    """Three models whose vocabularies differ."""
    tokenizers = [
        word_tokenizer(WORDS),
        word_tokenizer([*WORDS[::-1], "more"]),
        word_tokenizer([*WORDS[:40], "other"]),
    ]
    return [
        random_model(tmp_path / f"model{seed}", seed=seed, options=Options(tokenizer=tokenizer))
        for seed, tokenizer in enumerate(tokenizers)
    ]


def test_a_new_vocabulary_is_that_of_the_export(tmp_path: Path, speakers: list[Path]):
    """Union, base, and union again; tokenizer, ids in the config and embeddings."""
    base, *others = speakers
    asked = [
        recipe("linear", base, speakers, weight=[0.2, 0.5, 0.3], tokenizer_source=source)
        for source in ("union", "base", "union")
    ]
    asked.append(recipe("ties", base, others, weight=0.6, density=0.5, tokenizer_source="union"))
    with bench(speakers) as workbench:
        for i, each in enumerate(asked):
            assert_same(workbench.build(each), exported(each, tmp_path / f"out{i}"))


def test_a_chat_template_is_that_of_the_export(tmp_path: Path):
    base, *experts = siblings(tmp_path / "models")
    plain = recipe("linear", None, experts, weight=0.5)
    chatty = recipe("linear", None, experts, weight=0.5, chat_template="chatml")
    with bench([base, *experts]) as workbench:
        workbench.build(plain)
        found = workbench.build(chatty)
        assert_same(found, exported(chatty, tmp_path / "out"))
    assert "im_start" in found.tokenizer.chat_template


def test_tied_and_untied_models_make_models_of_both_kinds(tmp_path: Path):
    tied = random_model(tmp_path / "tied", options=Options(tied=True))
    untied = random_model(tmp_path / "untied", seed=1)
    models = [tied, untied]
    asked = [
        recipe("passthrough", None, [tied]),
        recipe("linear", None, models, weight=[0.4, 0.6]),
        recipe("passthrough", None, [tied]),
    ]
    settings = word_tokenizer(WORDS)
    for model in models:
        settings.save_pretrained(model)
    with bench(models) as workbench:
        for i, each in enumerate(asked):
            found = workbench.build(each)
            assert_same(found, exported(each, tmp_path / f"out{i}"))
            head, embedding = found.model.lm_head.weight, found.model.model.embed_tokens.weight
            assert (head is embedding) == (i != 1)
