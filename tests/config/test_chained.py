"""A config with stages: what each stage is, and what cannot be one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from evomerge.config.chained import ChainConfig, either_of, read_either
from evomerge.config.reading import Located
from evomerge.errors import RecipeError
from tests.chain.chains import blend, config, stack

MODELS = {"base": "models/base", "words": "models/words"}
TWO = {"blend": blend("words"), "stack": stack("blend", "words")}


@pytest.fixture
def chain(tmp_path: Path):
    """Reads a sound chain with other values of some keys."""

    def read(stages=TWO, **changes: object) -> ChainConfig:
        found = read_either(config(tmp_path, MODELS, stages, **changes))
        assert isinstance(found, ChainConfig)
        return found

    return read


def test_what_stands_at_the_top_counts_for_every_stage(chain):
    found = chain(lookahead=3, device="cpu", budget={"trials": 9})
    for name in TWO:
        stage = found.stage(name).config
        assert (stage.seed, stage.lookahead, stage.device) == (5, 3, "cpu")
        assert stage.evaluators["text"]["file"] == "text.txt"
    assert found.stage("blend").config.budget.trials == 5


def test_what_a_stage_says_counts_for_it_alone(chain):
    own = blend("words", seed=8, warm_start=["mine.yaml"], constraints=None)
    found = chain({**TWO, "blend": own}, constraints={"text": {"max": 9}})
    assert found.stage("blend").config.seed == 8
    assert found.stage("blend").config.warm_start == ["mine.yaml"]
    assert found.stage("blend").config.constraints is None
    assert found.stage("stack").config.seed == 5
    assert found.stage("stack").config.warm_start == []
    assert found.stage("stack").config.constraints == {"text": {"max": 9}}


def test_a_stage_has_all_models_and_the_winners_before_it(chain):
    stages = {**TWO, "last": stack("stack", "other", models={"other": "models/other"})}
    found = chain(stages)
    assert list(found.stage("blend").config.models) == ["base", "words"]
    assert list(found.stage("stack").config.models) == ["base", "words", "blend"]
    last = found.stage("last", {"blend": "/b", "stack": "/s"})
    assert dict(last.config.models) == {
        **MODELS,
        "other": "models/other",
        "blend": "/b",
        "stack": "/s",
    }


def test_only_the_last_stage_is_judged_and_simplified_unless_another_asks_for_it(chain):
    asking = {**TWO["blend"], "finalists": 2, "simplify": {"steps": 3}}
    for own, expected in ((TWO["blend"], (0, False)), (asking, (2, {"steps": 3}))):
        found = chain({**TWO, "blend": own}, finalists=4, simplify=True)
        stage = found.stage("blend").config
        simplify = stage.simplify
        if not isinstance(simplify, bool):
            simplify = simplify.model_dump(exclude_unset=True)
        assert (stage.finalists, simplify) == expected
        last = found.stage("stack").config
        assert (last.finalists, last.simplify) == (4, True)
        assert last.holdout == stage.holdout


def test_a_stage_with_scores_of_its_own_has_the_holdout_that_it_names(chain):
    size = {"size": {"name": "cost", "metric": "bytes"}}
    first = {**TWO["blend"], "evaluators": size, "objectives": "size"}
    assert chain({**TWO, "blend": first}).stage("blend").config.holdout is None
    named = {**first, "holdout": size}
    assert chain({**TWO, "blend": named}).stage("blend").config.holdout == size
    last = {**TWO["stack"], "objectives": "text"}
    assert chain({**TWO, "stack": last}).stage("stack").config.holdout is not None


def test_each_stage_has_a_folder_in_that_of_the_chain(chain, tmp_path):
    found = chain()
    assert found.run == tmp_path / "run"
    assert found.stage("blend").run == tmp_path / "run" / "1-blend"
    assert found.stage("stack").run == tmp_path / "run" / "2-stack"
    assert found.last == "stack"


def test_written_and_read_again_it_is_the_same_wherever_it_stands(chain, tmp_path):
    (tmp_path / "blend.yaml").write_text(json.dumps(TWO["blend"]["recipe"]))
    found = chain({**TWO, "blend": {**TWO["blend"], "recipe": "blend.yaml"}})
    place = tmp_path / "elsewhere" / "chain.yaml"
    place.parent.mkdir()
    place.write_text(found.written(tmp_path / "other"))
    again = read_either(place)
    assert again.run == tmp_path / "other"
    for name in TWO:
        before, after = found.stage(name), again.stage(name)
        assert after.folder == before.folder
        same = {"run": "", "recipe": before.config.recipe}
        assert after.changed({"run": ""}).config == before.changed(same).config


def test_one_hole_of_a_recipe_that_stands_twice_stays_one(tmp_path):
    text = (
        "models: {base: b, words: w}\nevaluators: {text: {name: perplexity, file: t}}\n"
        "objectives: text\nstages:\n  only:\n    budget: {trials: 1}\n    recipe:\n"
        "      merge_method: linear\n      models:\n"
        "        - {model: base, parameters: {weight: &w {search: [0, 1]}}}\n"
        "        - {model: words, parameters: {weight: *w}}\n"
    )
    (tmp_path / "config.yaml").write_text(text)
    written = read_either(tmp_path / "config.yaml").written(tmp_path / "run")
    entries = yaml.safe_load(written)["stages"]["only"]["recipe"]["models"]
    assert entries[0]["parameters"]["weight"] is entries[1]["parameters"]["weight"]


def test_without_stages_it_is_a_search(tmp_path):
    tree = {"models": MODELS, "evaluators": {"text": {"name": "cost"}}, "objectives": "text"}
    assert isinstance(either_of({**tree, **blend("words")}), Located)
    assert isinstance(either_of({**tree, "stages": {"only": blend("words")}}), ChainConfig)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"recipe": {}}, "config: found both recipe and stages; "),
        ({"warm_start": []}, "config: warm_start is about one stage; put it there"),
        ({"optimiser": "cma"}, "config: unknown key 'optimiser'; did you mean 'optimizer'?"),
        ({"stages": {}}, "config.stages: found {}; expected a mapping with at least one stage"),
        ({"stages": ["blend"]}, r"config.stages: found \['blend'\]; expected a mapping"),
        ({"stages": {"a/b": blend("words")}}, "config.stages: found the name 'a/b'; "),
        ({"stages": {7: blend("words")}}, "config.stages: found the name 7; "),
        ({"stages": {"blend": 3}}, "config.stages.blend: found 3; expected a mapping"),
        ({"stages": {"a": blend("words", run="x")}}, "config.stages.a: run is for all stages"),
        ({"stages": {"a": blend("words", recipes=1)}}, "config.stages.a: unknown key 'recipes'"),
        ({"stages": {"words": blend("words")}}, "config.stages.words: the name of a model too"),
        (
            {"stages": {"a": blend("words", models={"b": "x"}), "b": blend("words")}},
            "config.stages.b: the name of a model too",
        ),
        ({"models": "base"}, "stage blend: config.models: found 'base'; expected a mapping"),
        (
            {"stages": {"blend": {**blend("words"), "budget": None}}},
            "stage blend: config.budget: missing",
        ),
    ],
)
def test_what_cannot_be_a_chain_is_refused(tmp_path, changes, message):
    tree = {
        "models": MODELS,
        "evaluators": {"text": {"name": "cost", "metric": "bytes"}},
        "objectives": "text",
        "stages": TWO,
        **changes,
    }
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(tree, sort_keys=False))
    with pytest.raises(RecipeError, match=message) as refusal:
        read_either(path)
    assert str(refusal.value).startswith(f"{path}: ")


@pytest.mark.parametrize(
    ("recipe", "when"),
    [
        (blend("later")["recipe"], "comes after it"),
        (blend("first")["recipe"], "is this stage itself"),
        ({**blend("words")["recipe"], "base_model": {"choose": ["base", "later"]}}, "comes after"),
        ({**blend("words")["recipe"], "tokenizer_source": "later"}, "comes after it"),
        ({"slices": {"stack": {"models": ["words", "later"]}}}, "comes after it"),
        (stack("words", "later")["recipe"], "comes after it"),
    ],
)
def test_a_stage_cannot_have_what_is_not_found_yet(recipe, when):
    stages = {"first": {**blend("words"), "recipe": recipe}, "later": blend("words", "first")}
    tree = {"models": MODELS, "evaluators": {"t": {"name": "cost"}}, "objectives": "t"}
    with pytest.raises(RecipeError, match=rf"config.stages.first.recipe: .*{when}"):
        either_of({**tree, "stages": stages})


def test_a_word_of_a_recipe_that_is_no_model_may_be_a_stages_name():
    stages = {"first": blend("words"), "task_arithmetic": blend("words"), "float32": stack("first")}
    tree = {"models": MODELS, "evaluators": {"t": {"name": "cost"}}, "objectives": "t"}
    assert either_of({**tree, "stages": stages}).last == "float32"
