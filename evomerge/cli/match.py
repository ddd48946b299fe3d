"""``evomerge inspect A B --match``: whether two models know the same things."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from evomerge.cli.layers import prepared, ticking
from evomerge.cli.layers_asked import Asked
from evomerge.cli.match_asked import Pair
from evomerge.cli.match_shown import Between, fields_of, figures, texts
from evomerge.cli.scoring import evaluators_for, status_line
from evomerge.cli.stack_recipe import reference_of
from evomerge.cli.tables import Form
from evomerge.errors import MergeError, VocabularyError
from evomerge.inspection.convergence import Convergence, convergence
from evomerge.inspection.grid import draw
from evomerge.inspection.line import line_between
from evomerge.inspection.task_vectors import measure, plan_reading
from evomerge.measurements.probe import LENGTH
from evomerge.merging.models import open_references
from evomerge.merging.plan import Plan
from evomerge.recipe import ModelReference
from evomerge.recipe.data import Data
from evomerge.workbench import Settings, Workbench

Models = tuple[ModelReference, ModelReference]


def look_at_pair(one: str, other: str, pair: Pair, asked: Asked) -> None:
    """Shows which units of two models go together, and what lies between the models.

    Raises:
        EvomergeError: they cannot be compared.
    """
    models = reference_of(one), reference_of(other)
    if models[0] == models[1]:
        raise MergeError(f"{one}: stands there twice; name two models")
    tokens, shares = pair.read(), pair.shares()
    with prepared(asked) as (text, _), ExitStack() as ending, status_line() as show:
        (evaluator,) = evaluators_for("inspect", {"task": []}, [], [text])
        evaluator.check()
        settings = Settings(asked.device)
        first, second = open_references(models).values()
        ending.callback(first.close)
        ending.callback(second.close)
        plan, apart = _plan(models, pair.base)
        data = Data(file=str(text), items=tokens // LENGTH, length=LENGTH)
        tick = ticking(show, "units")
        found = convergence(first, second, data, device=settings.chosen_device(), tick=tick)
        between = Between(apart=apart)
        if plan is not None:
            bench = ending.enter_context(Workbench(models, settings))
            tick = ticking(show, "line")
            line = line_between(models, shares, bench.build, evaluator, tick=tick)
            between = Between(measure(plan), line)
    _answer(asked, text, found, between)


def _plan(models: Models, base: str | None) -> tuple[Plan | None, str | None]:
    """How to read the models' weights; or why they differ too much, if no base says they do not."""
    try:
        return plan_reading(None if base is None else reference_of(base), models), None
    except (MergeError, VocabularyError) as error:
        if base is not None:
            raise
        return None, str(error)


def _answer(asked: Asked, text: Path, found: Convergence, between: Between) -> None:
    if asked.picture is not None:
        draw(figures(found, between), asked.picture)
    if asked.form is Form.json:
        fields: Mapping[str, object] = {"text": text.stem, **fields_of(found, between)}
        sys.stdout.write(json.dumps(fields, indent=2) + "\n")
    else:
        sys.stdout.write("\n".join(texts(found, between, text.stem)))
