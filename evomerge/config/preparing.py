"""Everything that a config names, put together and checked before any weight is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from evomerge.checkpoint.adapter import Adapted
from evomerge.checkpoint.fingerprint import fingerprint_of
from evomerge.checkpoint.reader import Checkpoint
from evomerge.config.baselines import Kin, baselines, corners, expressed, kin_of
from evomerge.config.checks import (
    check_apart,
    check_budget,
    check_merge,
    check_names,
    check_place,
)
from evomerge.config.probing import check_probing, probing_of
from evomerge.config.reading import Located, data_files
from evomerge.config.remarks import on_benchmarks, on_holdout
from evomerge.config.templates import open_models, read_template
from evomerge.config.warm_starts import warm_starts
from evomerge.errors import EvomergeError, RecipeError, placed, unknown
from evomerge.evaluators.base import Evaluator, make_evaluator
from evomerge.goals import Goals, read_goals
from evomerge.optimizers.auto import advice, choose_optimizer
from evomerge.optimizers.base import Optimizer, Setup, make_optimizer, optimizers
from evomerge.recipe import Recipe
from evomerge.searching import Budget, Probing, Start
from evomerge.template import Template
from evomerge.template.ways import aligning
from evomerge.workbench import Settings

AUTO = "auto"


@dataclass(frozen=True)
class Prepared:
    """A search that can begin.

    Attributes:
        located: its config.
        sources: the models by alias, opened.
        template: the recipe with holes.
        kin: which of the models is the base.
        goals: what better means.
        evaluators: by name, on the items of the search.
        holdout: by name, on items that the search does not see; empty if there is none.
        optimizer: the settings of the optimizer, ``auto`` resolved.
        reason: why it was chosen; empty if the config names it.
        probing: how dead candidates are told; None scores all of them.
    """

    located: Located
    sources: Mapping[str, Checkpoint | Adapted]
    template: Template
    kin: Kin
    goals: Goals
    evaluators: Mapping[str, Evaluator]
    holdout: Mapping[str, Evaluator]
    optimizer: Mapping[str, object]
    reason: str
    probing: Probing | None

    @property
    def budget(self) -> Budget:
        """When the search ends."""
        given = self.located.config.budget
        return Budget(given.trials, given.hours, given.patience, given.target)

    @property
    def bench(self) -> Settings:
        """How models are built, and where they are."""
        config = self.located.config
        return Settings(
            device=config.device,
            resident=config.resident,
            threads=config.threads,
            trust_remote_code=config.trust_remote_code,
            allow_nan=config.allow_nan,
        )

    @cached_property
    def covers(self) -> Mapping[str, object]:
        """All that decides which trials a run records.

        The first time, it reads the content of the models: a second a gigabyte.
        """
        config = self.located.config
        probe = config.probe and config.probe.model_dump(exclude_none=True)
        return {
            "recipe": self.template.tree,
            "models": {alias: source.fingerprint() for alias, source in self.sources.items()},
            "evaluators": dict(config.evaluators),
            "objectives": config.objectives,
            "constraints": config.constraints,
            "optimizer": dict(self.optimizer),
            "seed": config.seed,
            "lookahead": config.lookahead,
            "warm_start": config.warm_start,
            "baselines": config.baselines,
            **({} if probe is None else {"probe": probe}),
            **({"data": contents} if (contents := _contents(self.template.tree)) else {}),
        }

    @cached_property
    def starts(self) -> tuple[Start, ...]:
        """What is scored before the search begins.

        Raises:
            RecipeError: a warm start does not fit.
        """
        automatic = self.located.config.baselines == AUTO
        found: list[Start] = []
        if automatic:
            filled = self.template.fill(self.template.space.middle())
            found += [expressed(self.template, each) for each in baselines(self.kin, filled)]
        found += self._warm_starts()
        if automatic:
            found += corners(self.template, found)
        return tuple(found)

    @cached_property
    def aligning(self) -> tuple[Recipe, ...]:
        """Recipes that together align models in all the ways that the search may ask for."""
        known = [each.recipe for each in self.starts if isinstance(each.recipe, Recipe)]
        return (*aligning(self.template), *(each for each in known if each.aligned()))

    def _warm_starts(self) -> Iterator[Start]:
        """Those that the config asks for, if they can be merged."""
        sources = {self.kin.references[alias]: source for alias, source in self.sources.items()}
        for start in warm_starts(self.located, self.template, lambda: self.covers):
            if start.point is None:
                try:
                    check_merge(start.recipe, sources)
                except EvomergeError as error:
                    raise placed(error, f"warm_start: {start.label}") from error
            yield start

    def new_optimizer(self) -> Optimizer:
        """The optimizer as it is before it has been told anything."""
        config = self.located.config
        setup = Setup(
            self.template.space,
            config.seed,
            self.goals.count,
            config.lookahead,
            constrained=bool(self.goals.bounds),
            settle=self.template.settle,
            codes=self.template.codes,
        )
        return make_optimizer(self.optimizer, setup)

    def remarks(self) -> Iterator[str]:
        """What the user should know before the search begins."""
        if self.reason:
            yield f"optimizer: {self.optimizer['name']}; {self.reason}"
        yield from self.template.advice()
        yield from advice(self.optimizer, self.budget.trials)
        yield from on_holdout(self.holdout)
        if not self.located.config.allow_benchmarks:
            yield from on_benchmarks(self.evaluators)


def prepare(located: Located) -> Prepared:
    """Opens, reads and checks everything that a config names. Reads headers, no weights.

    (Only an earlier run among the warm starts has the models' contents hashed, after all else.)

    Raises:
        EvomergeError: something is missing, or does not fit; the message begins with the path.
    """
    try:
        prepared = _prepare(located)
        # Last: an earlier run to start from has these models' contents hashed.
        check_probing(prepared.probing, prepared.starts)
        return prepared
    except EvomergeError as error:
        raise placed(error, str(located.path)) from error


def _prepare(located: Located) -> Prepared:
    config = located.config
    check_budget(config.budget)
    goals = read_goals(config.objectives, config.constraints)
    evaluators = _evaluators(located, config.evaluators, "evaluators")
    check_apart(config, evaluators)
    holdout = _evaluators(located, config.holdout or {}, "holdout")
    check_names(goals, evaluators, holdout)
    sources = open_models(located)
    template = read_template(located, sources)
    optimizer, reason = _optimizer(config.optimizer, template, goals, config.budget.trials)
    prepared = Prepared(
        located,
        {alias: sources[reference] for alias, reference in template.models.items()},
        template,
        kin_of(template.tree, template.models),
        goals,
        evaluators,
        holdout,
        optimizer,
        reason,
        probing_of(config.probe, goals, evaluators),
    )
    check_place(prepared.bench)
    return prepared


def _contents(tree: object) -> dict[str, str]:
    """The files that models are shown somewhere in a recipe with holes: what each contains."""
    files = data_files(tree)
    return {file: fingerprint_of([Path(file)]) for file in files if Path(file).is_file()}


def _evaluators(
    located: Located, settings: Mapping[str, Mapping[str, object]], where: str
) -> dict[str, Evaluator]:
    made = {}
    for name, each in settings.items():
        place = f"{where}.{name}"
        made[name] = make_evaluator(each, place, located.folder)
        try:
            made[name].check()
        except EvomergeError as error:
            raise placed(error, place) from error
    return made


def _optimizer(
    setting: Mapping[str, object] | str, template: Template, goals: Goals, trials: int | None
) -> tuple[dict[str, object], str]:
    settings: dict[str, object] = {"name": setting} if isinstance(setting, str) else {**setting}
    name = str(settings.get("name"))
    if name != AUTO:
        if name not in optimizers:
            available = [AUTO, *optimizers]
            raise RecipeError(f"optimizer: {unknown('optimizer', name, available)}")
        make_optimizer(settings, Setup(template.space, 0, goals.count, codes=template.codes))
        return settings, ""
    if len(settings) > 1:
        raise RecipeError(f"optimizer: {AUTO} takes no keys of its own; name an optimizer")
    chosen, reason = choose_optimizer(template.space, goals.count, trials, len(template.codes))
    return dict(chosen), reason
