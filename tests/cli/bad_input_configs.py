"""Every kind of bad config: what stands in the folder. Titles are rows of docs/errors.md.

Each is refused alike by ``evomerge check`` and ``evomerge search``.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from evomerge.zoo.small_tokenizers import word_tokenizer
from tests.checkpoint.peft_adapters import factors, hand_made
from tests.cli.bad_input import other
from tests.cli.conftest import WORDS

# Writes config.yaml, and what it needs, into the current folder.
Prepare = Callable[[], object]

BAD_CONFIGS: dict[str, Prepare] = {}
# Those that only a first candidate shows.
AT_THE_FIRST: list[str] = []

PROSE: Mapping[str, object] = {"name": "perplexity", "file": "prose.txt", "window": 16}
HOLE: Mapping[str, object] = {"search": [0, 1]}


def case(title: str, *, at_the_first: bool = False) -> Callable[[Prepare], Prepare]:
    def enter(prepare: Prepare) -> Prepare:
        BAD_CONFIGS[title] = prepare
        if at_the_first:
            AT_THE_FIRST.append(title)
        return prepare

    return enter


def config(**changes: object) -> None:
    """A sound search over the small family, with other values of some keys."""
    Path("prose.txt").write_text("the cat sat the cat\n" * 20)
    tree = {
        "models": {"base": "base", "maths": "maths", "code": "code"},
        "recipe": recipe(),
        "optimizer": "cma",
        "evaluators": {"prose": PROSE},
        "objectives": "prose",
        "budget": {"trials": 2},
        "simplify": False,
        **changes,
    }
    tree = {key: value for key, value in tree.items() if value is not None}
    Path("config.yaml").write_text(json.dumps(tree))


def recipe(
    weight: object = HOLE, *, others: Mapping[str, object] | None = None, **changes: object
) -> dict[str, object]:
    """TIES of both experts; ``others`` are further parameters of the first."""
    parameters = {"weight": weight, **(others or {})}
    models = [
        {"model": "maths", "parameters": parameters},
        {"model": "code", "parameters": {"weight": HOLE}},
    ]
    return {"merge_method": "ties", "base_model": "base", "models": models, **changes}


def models(**changes: object) -> dict[str, object]:
    return {"base": "base", "maths": "maths", "code": "code", **changes}


def prose(**changes: object) -> dict[str, object]:
    return {"prose": {**PROSE, **changes}}


def lora(name: str = "lora") -> None:
    """An adapter of a module that all models of the family have."""
    hand_made(Path(name), factors("model.layers.0.self_attn.q_proj", 16, 16))


def python(body: str, **keys: object) -> dict[str, object]:
    """An evaluator that is a function of the user's own, ``metric.py:score``."""
    Path("metric.py").write_text(body)
    return {"prose": {"name": "python", "function": "metric.py:score", **keys}}


def task(name: str = "letters", **changes: object) -> dict[str, object]:
    """An evaluator that is a task of lm-eval, in ``tasks/letters.yaml``."""
    rows = [{"text": "the cat", "gold": 0}, {"text": "cat sat", "gold": 1}]
    Path("tasks").mkdir()
    Path("rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    letters = {
        "task": "letters",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": str(Path("rows.jsonl").absolute()), "cache_dir": "cache"},
        "test_split": "train",
        "output_type": "multiple_choice",
        "doc_to_text": "text",
        "doc_to_choice": ["the", "cat"],
        "doc_to_target": "gold",
        **changes,
    }
    Path("tasks/letters.yaml").write_text(json.dumps(letters))
    return {"name": "lm_eval", "task": name, "include_path": "tasks"}


# What the file is, and its keys.


@case("a config that is not there")
def _() -> None:
    pass


@case("a config that is not YAML")
def _() -> None:
    Path("config.yaml").write_text("models: {base: base\nbudget: {trials: 2}\n")


@case("a config that is a list")
def _() -> None:
    Path("config.yaml").write_text("- base\n- maths\n")


@case("an unknown key of the config")
def _() -> None:
    config(objective="prose")


@case("an unknown key of the budget")
def _() -> None:
    config(budget={"trails": 2})


@case("an unknown key of a model")
def _() -> None:
    config(models=models(maths={"model": "maths", "revison": "v2"}))


@case("an unknown key of simplify")
def _() -> None:
    config(simplify={"tolerence": 0.02})


@case("an unknown key of an evaluator")
def _() -> None:
    config(evaluators=prose(strid=8))


@case("an unknown key of the optimizer")
def _() -> None:
    config(optimizer={"name": "cma", "popsize": 8})


@case("an unknown key of a constraint")
def _() -> None:
    config(constraints={"prose": {"maximum": 3}})


@case("an unknown key of the recipe in a config")
def _() -> None:
    config(recipe=recipe(base_modle="base"))


@case("a missing key of the config")
def _() -> None:
    config(budget=None)


@case("a value of the wrong type in the config")
def _() -> None:
    config(budget={"trials": "many"})


# The recipe with holes.


@case("a recipe that the config names, but that is not there")
def _() -> None:
    config(recipe="ties.yaml")


@case("an unknown key of a hole")
def _() -> None:
    config(recipe=recipe({"search": [0, 1], "knot": 2}))


@case("a hole where none may stand")
def _() -> None:
    config(recipe=recipe(seed={"search": [0, 9]}))


def of_adapters(*names: str) -> dict[str, object]:
    """The average of some adapters."""
    adapters = [{"adapter": name, "parameters": {"weight": HOLE}} for name in names]
    return {"merge_method": "linear", "base_model": "base", "adapters": adapters}


@case("recipes of adapters beside others")
def _() -> None:
    config(recipe={"choose": [recipe(), of_adapters("code")]})


@case("an adapter that no model carries")
def _() -> None:
    lora()
    config(models=models(code="base+lora"), recipe=of_adapters("code", "maths"))


@case("an adapter of another model than the base")
def _() -> None:
    lora()
    lora("other")
    carried = models(maths="base+other", code="maths+lora")
    config(models=carried, recipe=of_adapters("maths", "code"))


@case("a range that ends before it begins")
def _() -> None:
    config(recipe=recipe({"search": [1.5, 0.5]}))


@case("a logarithmic range from zero")
def _() -> None:
    config(recipe=recipe({"search": [0, 1], "log": True}))


@case("a choice of one")
def _() -> None:
    config(recipe=recipe({"choose": [0.5]}))


@case("a filter that matches no tensor")
def _() -> None:
    config(recipe=recipe([{"filter": "atn", "value": HOLE}, {"value": 1}]))


@case("a 'by' that matches no tensor")
def _() -> None:
    config(recipe=recipe({"search": [0, 1], "by": ["self_attn", "experts"]}))


@case("a range that holds illegal recipes")
def _() -> None:
    others = {"density": {"search": [0.1, 0.9]}, "epsilon": 0.3}
    config(recipe=recipe(others=others, merge_method="della"))


def stack(**options: object) -> None:
    """A search of stacks of the small family, whose models have two layers."""
    hole = {"stack": {"models": ["base", "maths"], **options}}
    config(recipe={"merge_method": "passthrough", "slices": hole}, optimizer="ga")


@case("a stack of fewer layers than its first model")
def _() -> None:
    stack(keep=0, max_layers=1)


@case("a stack whose limits leave nothing")
def _() -> None:
    stack(encoding="path", min_layers=5, max_layers=4)


@case("a stack that keeps more than there is")
def _() -> None:
    stack(keep=2)


@case("a stack of a model that is not named")
def _() -> None:
    stack(models=["base", "math"])


@case("an option of another encoding of stacks")
def _() -> None:
    stack(encoding="path", repeats=2)


@case("scales of a stack without 1 among them")
def _() -> None:
    stack(scale=[1.1, 2])


@case("a stack by another method")
def _() -> None:
    hole = {"stack": {"models": ["base", "maths"]}}
    config(recipe={"merge_method": "linear", "slices": hole}, optimizer="ga")


@case("a model that the config does not name")
def _() -> None:
    tree = recipe()
    tree["models"][1]["model"] = "cod"
    config(recipe=tree)


@case("nothing to search")
def _() -> None:
    fixed = [{"model": "maths", "parameters": {"weight": 1}}]
    config(recipe=recipe(models=fixed))


# The models.


@case("a model of the config that is not there")
def _() -> None:
    config(models=models(code="./models/code"))


@case("models of different architectures in a config")
def _() -> None:
    config(models=models(code=other("qwen", "qwen2")))


@case("models of different vocabularies in a config")
def _() -> None:
    config(models=models(code=other("dogs", tokenizer=word_tokenizer([*WORDS, "dog"]))))


@case("an unknown device in a config")
def _() -> None:
    config(device="abacus")


# Who scores, and what is to be made better.


@case("an unknown evaluator")
def _() -> None:
    config(evaluators=prose(name="perplexty"))


@case("a file of an evaluator that is not there")
def _() -> None:
    config(evaluators=prose(file="prose.text"))


@case("a file of an evaluator that does not import")
def _() -> None:
    config(evaluators=python("import numpie\n\ndef score(model, tokenizer):\n    return 1.0\n"))


@case("a function of an evaluator that is not in its file")
def _() -> None:
    config(evaluators=python("def scores(model, tokenizer):\n    return 1.0\n"))


@case("a command that is not there")
def _() -> None:
    config(evaluators={"prose": {"name": "command", "command": ["./score.sh", "{model}"]}})


@case("an unknown task")
def _() -> None:
    config(evaluators={"prose": task("leters")})


@case("an unknown metric of a task")
def _() -> None:
    config(evaluators={"prose": {**task(), "metric": "accc"}})


@case("a task whose dataset cannot be found offline")
def _() -> None:
    config(evaluators={"prose": task(dataset_path="someone/letters", dataset_kwargs={})})


@case("an objective without an evaluator")
def _() -> None:
    config(objectives=["prose", "sums"])


@case("a constraint without an evaluator")
def _() -> None:
    config(constraints={"sums": {"min": 0.5}})


@case("a constraint that cannot be met")
def _() -> None:
    config(constraints={"prose": {"min": 4, "max": 3}})


@case("an objective that its evaluator does not give", at_the_first=True)
def _() -> None:
    config(objectives="prose.bits")


@case("a constraint that its evaluator does not give", at_the_first=True)
def _() -> None:
    config(constraints={"prose.byte": {"max": 9}})


@case("a metric that a function does not give", at_the_first=True)
def _() -> None:
    body = "def score(model, tokenizer):\n    return {'acc': 1.0}\n"
    config(evaluators=python(body, metric="accc"))


@case("a function that fails whatever the model", at_the_first=True)
def _() -> None:
    body = "def score(model, tokenizer):\n    return model.config.vocabulary\n"
    config(evaluators=python(body))


@case("a probe of an unknown score")
def _() -> None:
    config(probe={"score": "proes"})


@case("a probe of one of several objectives")
def _() -> None:
    both = {"prose": PROSE, "size": {"name": "cost", "metric": "parameters"}}
    config(evaluators=both, objectives=["prose", "size"], probe={"items": 4})


@case("a probe on no items")
def _() -> None:
    config(probe={"items": 0})


@case("a probe with two limits")
def _() -> None:
    config(probe={"min": 0.1, "share": 0.5})


@case("a probe without a limit or a baseline")
def _() -> None:
    config(baselines="none", probe={"items": 4})


@case("a probe of a metric that its evaluator does not give", at_the_first=True)
def _() -> None:
    config(probe={"score": "prose.bits"})


@case("a probe of a score without items", at_the_first=True)
def _() -> None:
    both = {"prose": PROSE, "size": {"name": "cost", "metric": "parameters"}}
    config(evaluators=both, probe={"score": "size"})


@case("a probe with its limit at the wrong end", at_the_first=True)
def _() -> None:
    config(probe={"min": 0.1})


@case("a holdout without an objective")
def _() -> None:
    both = {"prose": PROSE, "size": {"name": "cost", "metric": "parameters"}}
    config(evaluators=both, objectives=["prose", "size"], holdout=prose(window=8))


@case("a holdout of what the search has seen")
def _() -> None:
    config(holdout=prose())


@case("an evaluator of the holdout alone")
def _() -> None:
    config(holdout={**prose(window=8), "sums": PROSE})


# How it is searched.


@case("an unknown optimizer")
def _() -> None:
    config(optimizer="cmaes")


@case("an unknown sampler of Optuna")
def _() -> None:
    config(optimizer={"name": "optuna", "sampler": "tp"})


@case("an optimizer that takes no choices")
def _() -> None:
    config(recipe=recipe(merge_method={"choose": ["ties", "dare_ties"]}))


@case("a budget of zero")
def _() -> None:
    config(budget={"trials": 0})


@case("no budget at all")
def _() -> None:
    config(budget={})


@case("a warm start that is not there")
def _() -> None:
    config(warm_start=["good.yaml"])


@case("a warm start from a folder that is no run")
def _() -> None:
    Path("notes").mkdir()
    config(warm_start=["notes"])


@case("a warm start outside the space")
def _() -> None:
    config(warm_start=[{"models[maths].parameters.weight": 2}])


@case("a warm start with an unknown dimension")
def _() -> None:
    config(warm_start=[{"models[maths].parameters.wieght": 0.5}])


@case("a warm start that cannot be merged")
def _() -> None:
    other("qwen", "qwen2")
    entries = [{"model": "maths", "parameters": {"weight": 1}}]
    entries += [{"model": "qwen", "parameters": {"weight": 1}}]
    Path("good.yaml").write_text(json.dumps({"merge_method": "linear", "models": entries}))
    config(warm_start=["good.yaml"])


# The place of the results.


@case("a run that exists already")
def _() -> None:
    shutil.copytree("finished", "run")
    config()


@case("a run folder with other things in it")
def _() -> None:
    Path("run").mkdir()
    Path("run/notes.txt").write_text("keep me\n")
    config()


@case("a file where the run should be")
def _() -> None:
    Path("run").write_text("keep me\n")
    config()
