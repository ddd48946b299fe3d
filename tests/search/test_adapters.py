"""A search of merged adapters is a search like any other: judged, killed and resumed, exported."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from evomerge.api import merge, search
from evomerge.config.preparing import prepare
from evomerge.config.reading import read_config
from evomerge.evaluators.base import make_evaluator
from evomerge.evaluators.loading import load_model
from evomerge.evidence import best_of, evidence_of
from evomerge.recipe.adapters import AdapterRecipe
from evomerge.rehearsal import rehearse
from evomerge.session import begin
from evomerge.study import Study
from tests.checkpoint.peft_adapters import factors, hand_made
from tests.cli import conftest
from tests.search.killing import at_lines, history, kill_and_resume
from tests.search.tiny_runs import config, family

PROGRAM = [sys.executable, "-c", "from evomerge.cli.main import main; main()"]
SKILLS = ("words", "sums")
MODULES = ("self_attn.o_proj", "mlp.down_proj")
WEIGHT: Mapping[str, object] = {"search": [0, 1]}
RECIPE: Mapping[str, object] = {
    "merge_method": {"choose": ["frechet", "svd", "linear"]},
    "base_model": "base",
    "adapters": [{"adapter": skill, "parameters": {"weight": WEIGHT}} for skill in SKILLS],
    "parameters": {"scale": {"search": [0, 2]}, "manifold": {"choose": ["balanced", "chordal"]}},
}
TEXT: Mapping[str, object] = {"name": "perplexity", "file": "text.txt", "window": 32, "stride": 32}
SETTINGS: Mapping[str, object] = {
    "optimizer": "catcma",
    "evaluators": {"text": TEXT},
    "holdout": {"text": {**TEXT, "file": "held.txt"}},
    "budget": {"trials": 8},
    "finalists": 2,
}


evomerge = conftest.evomerge


@pytest.fixture(scope="module")
def models(module_folder: Path) -> Mapping[str, str]:
    """A base, and two models that are the base with an adapter."""
    base = family(module_folder / "models")["base"]
    shapes = {module: _shape(base, module) for module in MODULES}
    carried = {}
    for seed, skill in enumerate(SKILLS):
        made = {}
        for number, (module, shape) in enumerate(shapes.items()):
            name = f"model.layers.{number}.{module}"
            made |= {key: array / 10 for key, array in factors(name, *shape, seed=seed).items()}
        hand_made(module_folder / skill, made)
        carried[skill] = f"{base}+{module_folder / skill}"
    return {"base": base, **carried}


def _shape(base: str, module: str) -> tuple[int, int]:
    settings = json.loads((Path(base) / "config.json").read_text())
    size = settings["hidden_size"]
    return size, settings["intermediate_size"] if module.startswith("mlp") else size


def searched(folder: Path, models: Mapping[str, str], **changes: object) -> Path:
    return config(folder, models, recipe={**RECIPE, **changes}, **SETTINGS)


@pytest.fixture(scope="module")
def study(module_folder: Path, models: Mapping[str, str]) -> Study:
    """A run that went to its end, which tests only read."""
    return begin(read_config(searched(module_folder / "finished", models)))


def test_it_begins_with_the_base_each_adapter_and_their_average(study: Study):
    labels = [trial.label for trial in study.stage("baselines")]
    assert labels[:4] == ["base", "parent words", "parent sums", "default linear"]
    assert set(labels[4:7]) == {"corner base", "corner only words", "corner only sums"}
    scores = {trial.label: trial.scores["text"].value for trial in study.stage("baselines")}
    # The same model, by way of another recipe.
    assert scores["corner base"] == scores["base"]
    for skill in SKILLS:
        assert scores[f"corner only {skill}"] == pytest.approx(scores[f"parent {skill}"], abs=1e-6)


def test_it_is_searched_simplified_and_judged(study: Study):
    assert [trial.failure for trial in study.trials] == [None] * len(study.trials)
    stages = list(dict.fromkeys(trial.stage for trial in study.trials))
    assert stages == ["baselines", "search", "simplification", "holdout"]
    assert len(study.stage("search")) == 8
    assert evidence_of(study).verdicts


def test_a_winner_is_the_model_that_was_scored(study: Study, tmp_path: Path):
    text = (study.run / "best.yaml").read_text()
    assert "mergekit does not know recipes of adapters." in text
    recipe = AdapterRecipe.read(study.run / "best.yaml")
    whole = merge(recipe.model_copy(update={"output": "model"}), tmp_path / "model")
    evaluator = make_evaluator(TEXT, "text", study.run.parent)
    found = evaluator.evaluate(load_model(whole, device="cpu"))
    assert found.main is not None
    assert found.main.value == best_of(study).scores["text"].value


def test_a_killed_search_loses_nothing(tmp_path: Path, models: Mapping[str, str], study: Study):
    path = searched(tmp_path / "killed", models)
    run = path.parent / "run"
    words = [*PROGRAM, "search", str(path), "--quiet"], [*PROGRAM, "resume", str(run), "--quiet"]
    assert kill_and_resume(*words, run, [at_lines(14)]) == 1
    assert history(run) == history(study.run)


def test_it_may_begin_from_a_recipe_and_from_an_earlier_run(
    tmp_path: Path, models: Mapping[str, str], study: Study
):
    path = searched(tmp_path, models)
    mine = AdapterRecipe.from_tree({**study.trials[3].recipe, "merge_method": "naive"}).write()
    (tmp_path / "mine.yaml").write_text(mine)
    tree = {**json.loads(path.read_text()), "warm_start": ["mine.yaml", str(study.run)]}
    path.write_text(json.dumps(tree))
    starts = {start.label: start for start in prepare(read_config(path)).starts}
    assert starts["mine"].point is None
    assert starts["mine"].recipe.method_names() == ("naive",)
    for trial in study.stage("search"):
        start = starts[f"{study.run} trial {trial.number}"]
        assert (start.point, start.result.scores) == (trial.point, trial.scores)


def test_what_it_takes_is_measured(tmp_path: Path, models: Mapping[str, str]):
    found = rehearse(prepare(read_config(searched(tmp_path, models))))
    assert found.trials is not None
    assert found.seconds > 0


@pytest.mark.parametrize("output", ["adapter", "model"])
def test_export_writes_what_the_recipe_makes(
    tmp_path: Path, models: Mapping[str, str], output: str, evomerge
):
    path = config(
        tmp_path,
        models,
        recipe={**RECIPE, "output": output},
        **{**SETTINGS, "budget": {"trials": 1}, "holdout": None, "simplify": False},
    )
    (trial,) = begin(read_config(path)).stage("search")
    places = [str(tmp_path / name) for name in ("out.yaml", "made", "merged")]
    code, out, err = evomerge(
        "export", tmp_path / "run", places[0], "--trial", trial.number, "--model", places[1]
    )
    assert code == 0
    assert f"{places[1]}: the {output}\n" in out
    assert err.startswith("warning: mergekit does not know recipes of adapters.")
    merge(places[0], places[2])
    weights = "model.safetensors" if output == "model" else "adapter_model.safetensors"
    made, merged = ((Path(place) / weights).read_bytes() for place in places[1:])
    assert made == merged


def test_a_chain_goes_on_from_the_model_of_merged_adapters(
    tmp_path: Path, models: Mapping[str, str], evomerge
):
    config(tmp_path, models)  # for the files that it names
    slices = [
        {"sources": [{"model": {"choose": ["blend", "base"]}, "layer_range": [at, at + 1]}]}
        for at in (0, 1)
    ]
    few = {"budget": {"trials": 2}, "simplify": False}
    tree = {
        "run": "chain",
        "models": dict(models),
        "evaluators": {"text": TEXT},
        "objectives": "text",
        "stages": {
            "blend": {"recipe": {**RECIPE, "output": "model"}, "optimizer": "catcma", **few},
            "stack": {
                "recipe": {"merge_method": "passthrough", "slices": slices},
                "optimizer": {"name": "optuna", "sampler": "random"},
                **few,
            },
        },
    }
    (tmp_path / "chain.yaml").write_text(json.dumps(tree))
    study = search(tmp_path / "chain.yaml")
    (made,) = (tmp_path / "chain" / "models").iterdir()
    assert "the merge of LoRA adapters" in (made / "README.md").read_text()
    first = Study.open(tmp_path / "chain" / "1-blend")
    scores = {trial.label: trial.scores["text"].value for trial in study.stage("baselines")}
    assert scores["parent blend"] == best_of(first).scores["text"].value
    # What leaves it makes the same model, adapters first.
    taken = next(t.number for t in study.trials if str(made) in json.dumps(t.recipe))
    words = ["export", tmp_path / "chain", tmp_path / "all.yaml", "--trial", taken]
    assert evomerge(*words)[0] == 0
    merge(tmp_path / "all.yaml", tmp_path / "again")
    expected = study.find(taken).scores["text"].value
    evaluator = make_evaluator(TEXT, "text", tmp_path)
    assert evaluator.evaluate(load_model(tmp_path / "again", device="cpu")).main.value == expected
