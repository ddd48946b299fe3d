"""A config with ``stages:``: searches one after the other, of which each gives the next a model.

The keys at the top are the defaults of every stage. What a stage says itself counts for it alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from evomerge.config.document import Config
from evomerge.config.plain import plain_tree
from evomerge.config.reading import Located, located_in, read_tree
from evomerge.errors import RecipeError, placed, unknown
from evomerge.recipe.entry import shown
from evomerge.recipe.steps import MODEL_KEYS
from evomerge.template.kinds import makes_adapters

STAGES = "stages"
Tree = Mapping[str, Any]

# What a stage cannot have of its own, and what the top cannot have for all.
OF_THE_CHAIN = frozenset({"run", "folder"})
OF_A_STAGE = frozenset({"recipe", "warm_start"})
TOP_KEYS = (STAGES, *(key for key in Config.model_fields if key not in OF_A_STAGE))
STAGE_KEYS = tuple(key for key in Config.model_fields if key not in OF_THE_CHAIN)

# Whatever the top says, only the last stage is judged and simplified, unless a stage asks for it:
# to judge every stage would make each verdict harder to reach, and costs trials.
BEFORE_THE_LAST: Tree = {"finalists": 0, "simplify": False}
# A stage with scores of its own cannot be judged by those of the chain's holdout.
SCORES = frozenset({"evaluators", "objectives"})
# A stage names a folder, a model, and a step of mergekit-multi.
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")
# Beside `MODEL_KEYS`, keys of templates under which models stand.
NAMING = MODEL_KEYS | {"models", "anchor"}


@dataclass(frozen=True)
class ChainConfig:
    """Searches one after the other.

    Attributes:
        top: the keys of all stages.
        stages: the keys of each, by name, in order.
        folder: what relative paths count from, an absolute path.
        path: of the file, for messages.
    """

    top: Tree
    stages: Mapping[str, Tree]
    folder: Path
    path: Path

    @property
    def run(self) -> Path:
        """The folder of the chain, in which each stage has one."""
        return self.folder / Path(self.top.get("run", "run")).expanduser()

    @property
    def last(self) -> str:
        """The stage whose winner the chain is for."""
        return list(self.stages)[-1]

    def place(self, name: str) -> str:
        """The name of a stage's folder: ``2-stack``."""
        return f"{list(self.stages).index(name) + 1}-{name}"

    def stage(self, name: str, winners: Mapping[str, str] | None = None) -> Located:
        """The config of one stage, an ordinary one.

        Args:
            name: of the stage.
            winners: where the models of the stages before it are. Without them it cannot be
                prepared, only read.

        Raises:
            RecipeError: it is none; the message begins with the path and the name.
        """
        own = self.stages[name]
        before = list(self.stages)[: list(self.stages).index(name)]
        places = winners if winners is not None else {each: f"./{each}" for each in before}
        tree = {**self.top, **({} if name == self.last else BEFORE_THE_LAST), **own}
        if name != self.last and SCORES & own.keys() and "holdout" not in own:
            tree.pop("holdout", None)
        models = _joined(self.top.get("models"), own.get("models"), places)
        tree |= {"models": models, "run": str(self.run / self.place(name))}
        return located_in(tree, Path(f"{self.path}: stage {name}"), self.folder)

    def changed(self, stage: str, changes: Tree) -> ChainConfig:
        """The same with other values of some keys of one stage."""
        return replace(self, stages={**self.stages, stage: {**self.stages[stage], **changes}})

    def written(self, run: Path) -> str:
        """The chain as a file that can stand anywhere, with recipes in place of their files."""
        stages = {
            name: {**own, "recipe": self.stage(name).config.recipe}
            for name, own in self.stages.items()
        }
        tree = {**self.top, "run": str(run), "folder": str(self.folder), STAGES: stages}
        head = (
            "# What this chain was made from. Paths count from 'folder'. The config.yaml of each\n"
            "# stage follows from this file; budgets may be changed here.\n"
        )
        return head + yaml.safe_dump(tree, sort_keys=False, allow_unicode=True, width=100)


def read_either(path: Path) -> Located | ChainConfig:
    """What a YAML file says: one search, or a chain of them.

    Raises:
        RecipeError: there is no such file, or it says neither; the message begins with the path.
    """
    return _either(read_tree(path, "config"), path, path.absolute().parent)


def either_of(tree: Mapping[str, object]) -> Located | ChainConfig:
    """What a program says. Relative paths count from the working directory.

    Raises:
        RecipeError: it is neither.
    """
    return _either(plain_tree(tree, "config"), Path("config"), Path.cwd())


def _either(tree: object, path: Path, folder: Path) -> Located | ChainConfig:
    if not isinstance(tree, Mapping) or STAGES not in tree:
        return located_in(tree, path, folder)
    with _under(path):
        chain = _chain(tree, path, folder)
    for name in chain.stages:
        recipe = chain.stage(name).config.recipe
        with _under(path):
            _check_order(chain, name, recipe)
            if name != chain.last and makes_adapters(recipe):
                raise RecipeError(
                    f"config.stages.{name}.recipe: makes an adapter, but the next stages are given "
                    "the model that this one finds; add output: model"
                )
    return chain


@contextmanager
def _under(path: Path) -> Iterator[None]:
    """Puts the path of the file before what is found wrong with it."""
    try:
        yield
    except RecipeError as error:
        raise placed(error, str(path)) from error


def _chain(tree: Tree, path: Path, folder: Path) -> ChainConfig:
    _check_top(tree)
    stages = tree[STAGES]
    if not isinstance(stages, Mapping) or not stages:
        raise RecipeError(
            f"config.stages: found {shown(stages)}; expected a mapping with at least one stage, "
            "each with a recipe"
        )
    top = {key: value for key, value in tree.items() if key != STAGES and value is not None}
    folder = folder / Path(top.pop("folder", ".")).expanduser()
    chain = ChainConfig(top, dict(stages), folder.absolute(), path)
    for name, own in stages.items():
        _check_stage(name, own)
    for name in stages:
        _check_apart(chain, name)
    return chain


def _check_top(tree: Tree) -> None:
    for key in tree:
        if key == "recipe":
            raise RecipeError(
                "config: found both recipe and stages; put the recipe into a stage of its own, "
                "or leave stages out"
            )
        if key in OF_A_STAGE:
            raise RecipeError(f"config: {key} is about one stage; put it there")
        if key not in TOP_KEYS:
            raise RecipeError(f"config: {unknown('key', str(key), TOP_KEYS)}")


def _check_stage(name: object, own: object) -> None:
    """Whether a stage has a name that can be one, and keys that a stage can have."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise RecipeError(
            f"config.stages: found the name {name!r}; a stage names a folder and a model: give it "
            "letters, digits, - and _"
        )
    if not isinstance(own, Mapping):
        raise RecipeError(
            f"config.stages.{name}: found {shown(own)}; expected a mapping with a recipe"
        )
    for key in own:
        if key in OF_THE_CHAIN:
            raise RecipeError(f"config.stages.{name}: {key} is for all stages; put it at the top")
        if key not in STAGE_KEYS:
            raise RecipeError(f"config.stages.{name}: {unknown('key', str(key), STAGE_KEYS)}")


def _check_apart(chain: ChainConfig, name: str) -> None:
    """Refuses a name that stands for two models."""
    for each in (chain.top, *chain.stages.values()):
        if name in (each.get("models") or ()):
            raise RecipeError(
                f"config.stages.{name}: the name of a model too; a stage's name stands for the "
                "model that it finds: give one of them another"
            )


def _check_order(chain: ChainConfig, name: str, recipe: object) -> None:
    """Refuses a recipe that asks for the winner of a stage that has not run by then."""
    names = list(chain.stages)
    place = names.index(name)
    for model in _named(recipe, ""):
        if model in names[place:]:
            when = "is this stage itself" if model == name else "comes after it"
            before = ", ".join(names[:place]) or "none"
            raise RecipeError(
                f"config.stages.{name}.recipe: names the model '{model}', a stage that {when}; "
                f"a recipe may name the stages before its own: {before}"
            )


def _named(tree: object, key: str) -> Iterator[str]:
    """Everything in a recipe with holes that stands where a model is named."""
    if isinstance(tree, Mapping):
        for inner, value in tree.items():
            yield from _named(value, key if inner == "choose" else str(inner))
    elif isinstance(tree, list):
        for value in tree:
            yield from _named(value, key)
    elif isinstance(tree, str) and key in NAMING:
        yield tree


def _joined(*parts: object) -> object:
    """Several mappings as one; the first that is none, to be refused where values are."""
    given = [part for part in parts if part is not None]
    joined: dict[object, object] = {}
    for part in given:
        if not isinstance(part, Mapping):
            return part
        joined.update(part)
    return joined
