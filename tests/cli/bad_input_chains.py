"""Every way in which a chain cannot begin, go on or leave: titles are rows of docs/errors.md.

Each prepares the current folder and gives what is typed; nothing, if ``evomerge check`` and
``evomerge search`` refuse it alike. A run of one stage lies in ``finished``.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from evomerge.config.chained import ChainConfig, read_either
from tests.cli.bad_input_configs import PROSE, recipe

Prepare = Callable[[], list[str] | None]

BAD_CHAINS: dict[str, Prepare] = {}

STAGE: Mapping[str, object] = {"recipe": recipe(), "budget": {"trials": 2}}
LAYERS = [
    {"sources": [{"model": {"choose": ["blend", "maths"]}, "layer_range": [at, at + 1]}]}
    for at in (0, 1)
]
STACK: Mapping[str, object] = {
    "recipe": {"merge_method": "passthrough", "slices": LAYERS},
    "optimizer": {"name": "optuna", "sampler": "random"},
    "budget": {"trials": 2},
}
SECOND = "merge_method: linear\nmodels: [{model: maths}, {model: code, parameters: {weight: 2}}]\n"


def case(title: str) -> Callable[[Prepare], Prepare]:
    def enter(prepare: Prepare) -> Prepare:
        BAD_CHAINS[title] = prepare
        return prepare

    return enter


def chain(stages: object = None, **changes: object) -> None:
    """A sound chain over the small family, with other values of some keys."""
    Path("prose.txt").write_text("the cat sat the cat\n" * 20)
    tree = {
        "run": "chain",
        "models": {"base": "base", "maths": "maths", "code": "code"},
        "optimizer": "cma",
        "evaluators": {"prose": PROSE},
        "objectives": "prose",
        "seed": 3,
        "stages": {"blend": STAGE, "stack": STACK} if stages is None else stages,
        **changes,
    }
    Path("config.yaml").write_text(json.dumps(tree))


def begun(**changes: object) -> None:
    """A chain in its first stage, which is through."""
    chain(**changes)
    config = read_either(Path("config.yaml"))
    assert isinstance(config, ChainConfig)
    Path("chain").mkdir()
    Path("chain/chain.yaml").write_text(config.written(Path("chain").absolute()))
    shutil.copytree("finished", "chain/1-blend")


def mixing(*models: str) -> dict[str, object]:
    """A stage with the weights of some models."""
    entries = [{"model": each, "parameters": {"weight": {"search": [0, 1]}}} for each in models]
    found = {"merge_method": "ties", "base_model": "base", "models": entries}
    return {"recipe": found, "budget": {"trials": 2}}


# What a config says.


@case("a recipe beside stages")
def _() -> None:
    chain(recipe=recipe())


@case("a chain without stages")
def _() -> None:
    chain({})


@case("a stage without a recipe")
def _() -> None:
    chain({"blend": {"budget": {"trials": 2}}})


@case("a stage that has a key of the chain")
def _() -> None:
    chain({"blend": {**STAGE, "run": "elsewhere"}})


@case("a stage whose name cannot be one of a folder")
def _() -> None:
    chain({"blend/1": STAGE})


@case("a stage with the name of a model")
def _() -> None:
    chain({"maths": STAGE, "stack": STACK})


@case("a stage that names a later one")
def _() -> None:
    chain({"again": mixing("maths", "blend"), "blend": STAGE})


@case("a stage that names none that there is")
def _() -> None:
    chain({"blend": STAGE, "again": mixing("maths", "blent")})


@case("a stage of adapters that makes no model")
def _() -> None:
    adapters = {"merge_method": "linear", "base_model": "base", "adapters": [{"adapter": "code"}]}
    chain({"blend": {**STAGE, "recipe": adapters}, "stack": STACK})


@case("a stage that does not fit what the one before it finds")
def _() -> None:
    slices = [{"sources": [{"model": "blend", "layer_range": [0, 9]}]}]
    found = {"merge_method": "passthrough", "slices": slices}
    found["parameters"] = {"scale": {"search": [0.5, 1]}}
    chain({"blend": STAGE, "stack": {"recipe": found, "budget": {"trials": 2}}})


# Where it goes.


@case("a chain that exists already")
def _() -> None:
    begun()
    chain({"other": STAGE})


@case("a run where the chain should be")
def _() -> None:
    chain(run="finished")


@case("a chain's folder with other things in it")
def _() -> None:
    Path("chain").mkdir()
    Path("chain/notes.txt").write_text("keep me\n")
    chain()


# Going on with it, and reading it.


@case("a stage of another config")
def _() -> list[str]:
    begun(seed=4)
    return ["resume", "chain", "--quiet"]


@case("a chain that cannot be judged yet")
def _() -> list[str]:
    begun()
    return ["finalists", "chain", "--quiet"]


@case("a chain that cannot leave yet")
def _() -> list[str]:
    begun()
    return ["export", "chain", "best.yaml"]


@case("a chain where a run is asked for")
def _() -> list[str]:
    begun()
    return ["report", "chain", "--trial", "0"]


# Recipes in one file.


@case("a recipe without a name before others")
def _() -> list[str]:
    Path("steps.yaml").write_text(f"{SECOND}---\n{SECOND}")
    return ["merge", "steps.yaml", "out"]


@case("a last recipe with a name")
def _() -> list[str]:
    Path("steps.yaml").write_text(f"name: first\n{SECOND}---\nname: second\n{SECOND}")
    return ["merge", "steps.yaml", "out"]


@case("a dry run of several recipes")
def _() -> list[str]:
    Path("steps.yaml").write_text(f"name: first\n{SECOND}---\n{SECOND}")
    return ["merge", "steps.yaml", "out", "--dry-run"]
