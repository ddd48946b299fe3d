"""The functions that Python programs call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from evomerge import chain
from evomerge.adapters.opened import OpenAdapters
from evomerge.adapters.plan import plan_adapters
from evomerge.chain.running import watched_by
from evomerge.config.chained import ChainConfig, either_of, read_either
from evomerge.inspection.task_vectors import Division, TaskVectors, measure, plan_reading
from evomerge.merging.adapters import write_adapters
from evomerge.merging.folder import DEFAULT_SHARD_BYTES, write_merge
from evomerge.merging.plan import plan_merge
from evomerge.merging.steps import merge_steps
from evomerge.merging.stream import Options, stream
from evomerge.recipe import AnyRecipe, ModelReference, Recipe
from evomerge.recipe.adapters import AdapterRecipe
from evomerge.recipe.reading import following
from evomerge.recipe.steps import read_steps
from evomerge.searching import Watcher
from evomerge.session import Resumption, begin
from evomerge.session import resume as go_on
from evomerge.study import Study

if TYPE_CHECKING:
    from torch import Tensor


def merge(
    recipe: AnyRecipe | str | PathLike[str],
    out: str | PathLike[str],
    *,
    shard_bytes: int = DEFAULT_SHARD_BYTES,
    force: bool = False,
    options: Options | None = None,
) -> Path:
    """Turns a recipe into a model folder that transformers loads, or an adapter for PEFT.

    Args:
        recipe: a recipe, of models or of adapters, or the path of one in YAML, or of several that
            use each other's models.
        out: the folder to write; it exists afterwards whole or not at all.
        shard_bytes: how much one file of weights holds.
        force: replace a model that stands there.
        options: device, threads, and whether NaN is let through.

    Returns:
        The folder.

    Raises:
        EvomergeError: the recipe cannot be followed; nothing was written.
    """

    def write(asked: AnyRecipe, place: Path) -> None:
        if isinstance(asked, Recipe):
            plan = plan_merge(asked)
            write_merge(plan, place, shard_bytes=shard_bytes, force=force, options=options)
            return
        with OpenAdapters() as opened:
            adapters = plan_adapters(asked, opened)
            write_adapters(adapters, place, shard_bytes=shard_bytes, force=force, options=options)

    if isinstance(recipe, Recipe | AdapterRecipe):
        write(recipe, Path(out))
    else:
        steps = read_steps(recipe)
        with following(recipe):
            merge_steps(steps, Path(out), write)
    return Path(out)


def tensors(
    recipe: Recipe | str | PathLike[str], *, options: Options | None = None
) -> Iterator[tuple[str, Tensor]]:
    """The tensors of the merged model by name, in the order of the model, a few made ahead.

    Args:
        recipe: a recipe, or the path of one in YAML.
        options: device, threads, and whether NaN is let through.

    Raises:
        EvomergeError: the recipe cannot be followed.
    """
    with _following(recipe) as asked:
        plan = plan_merge(asked)
    return stream(plan, options)


def search(
    config: Mapping[str, object] | str | PathLike[str],
    *,
    run: str | PathLike[str] | None = None,
    trials: int | None = None,
    watcher: Watcher | None = None,
) -> Study:
    """Searches for recipes as a config says, and scores the winners on its holdout.

    Args:
        config: the path of a config.yaml, or what stands in one, as a mapping; the relative paths
            of a mapping count from the working directory.
        run: the folder of the results, instead of the config's.
        trials: the budget of trials, instead of the config's; of a chain, that of each stage.
        watcher: who is told of every trial as it begins and ends.

    Returns:
        The study, which can be read; of a chain, that of its last stage. The run folder holds the
        best recipe as ``best.yaml``.

    Raises:
        EvomergeError: the config cannot be followed, or the folder holds a run already. What a
            search that was stopped has recorded is kept: see `resume`.
    """
    found = either_of(config) if isinstance(config, Mapping) else read_either(Path(config))
    place = None if run is None else Path(run)
    if isinstance(found, ChainConfig):
        return chain.begin(found, place, watched_by(watcher), trials=trials)
    return begin(found, place, trials=trials, watcher=watcher)


def resume(
    run: str | PathLike[str],
    *,
    trials: int | None = None,
    retry_failed: bool = False,
    accept_drift: bool = False,
    watcher: Watcher | None = None,
) -> Study:
    """Goes on with a search from where it is, as if it had never stopped.

    Args:
        run: the run folder, or the folder of a chain.
        trials: the budget of trials in all, instead of the config's; of a chain, that of its last
            stage.
        retry_failed: try again what failed, in trials of their own.
        accept_drift: go on where the optimizer would now ask for other points.
        watcher: who is told of every trial as it begins and ends.

    Returns:
        The study, which can be read; of a chain, that of its last stage.

    Raises:
        EvomergeError: there is no run, its config changed, or another process writes it.
    """
    how = Resumption(trials, retry_failed=retry_failed, accept_drift=accept_drift)
    if chain.is_chain(Path(run)):
        return chain.resume(Path(run), how, watched_by(watcher))
    return go_on(Path(run), how, watcher=watcher)


def task_vectors(
    base: str | PathLike[str], models: Sequence[str | PathLike[str]], *, by: Division = "layer"
) -> TaskVectors:
    """How far models have moved from their base, and how much in the same direction.

    Args:
        base: what the models were made from.
        models: one or more; ``MODEL+ADAPTER`` is a model too.
        by: what they are divided into: ``layer``, ``kind`` or ``tensor``.

    Returns:
        Lengths and cosines, of the whole models and part by part.

    Raises:
        EvomergeError: the models cannot be read, or not be subtracted.
    """
    asked = [ModelReference.of(model) for model in models]
    return measure(plan_reading(ModelReference.of(base), asked), by)


@contextmanager
def _following(recipe: Recipe | str | PathLike[str]) -> Iterator[Recipe]:
    """The recipe; what is found wrong with it begins with its path, if it has one."""
    if isinstance(recipe, Recipe):
        yield recipe
        return
    asked = Recipe.read(recipe)
    with following(recipe):
        yield asked
