"""What a config's ``warm_start`` names: mergekit files, points of the space, and earlier runs.

What the template can express exactly is told to the optimizer. The rest is scored as a baseline,
and never bent to fit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count

from evomerge.config.baselines import expressed
from evomerge.config.reading import Located
from evomerge.errors import EvomergeError, RecipeError, placed, unknown
from evomerge.recipe.adapters import recipe_in
from evomerge.searching import Start
from evomerge.study import Study
from evomerge.template import Template
from evomerge.trial import SEARCH, Result, Trial

# Of a run whose scores say nothing about this one, so many of the best points are scored again.
BEST = 5
# What must be equal for the scores of another run to be scores of this one.
DECISIVE = ("models", "evaluators")


def warm_starts(
    located: Located, template: Template, covers: Callable[[], Mapping[str, object]]
) -> Iterator[Start]:
    """What the config asks to start from.

    Args:
        located: the config.
        template: what points fill.
        covers: gives what decides the trials of this run; an earlier run that shares models and
            evaluators is believed, and not scored again. Asked for only if there is one, when all
            else is known to be right.

    Raises:
        RecipeError: an entry is none of the three, or does not fit the space.
        StudyError: an earlier run cannot be read.
    """
    try:
        found = [*_read(located, template)]
    except EvomergeError as error:
        raise placed(error, "warm_start") from error
    for each in found:
        if isinstance(each, Start):
            yield each
        else:
            yield from _of_run(*each, template, covers())


def _read(located: Located, template: Template) -> Iterator[Start | tuple[str, Study]]:
    """What each entry is; of an earlier run its name, and the study."""
    numbers = count(1)
    for entry in located.config.warm_start:
        if isinstance(entry, Mapping):
            yield _at(template, entry, f"point {next(numbers)}")
        elif (path := located.under(entry)).is_dir():
            yield entry, Study.open(path)
        else:
            yield expressed(template, Start(path.stem, located.recipe(entry)))


def _at(template: Template, entry: Mapping[str, object], label: str) -> Start:
    """The start at a point; what it leaves out stands in the middle."""
    space = template.space
    for name in entry:
        if name not in space.names:
            raise RecipeError(f"{label}: {unknown('dimension', name, space.names)}")
    point = dict(space.middle())
    for dimension in space.dimensions:
        value = entry.get(dimension.name, point[dimension.name])
        if not dimension.admits(value):
            raise RecipeError(
                f"{label}: {dimension.name}: {value!r} lies outside the space; "
                "widen its range, or give another value"
            )
        point[dimension.name] = value  # type: ignore[assignment]  # admitted, so a value
    return Start(label, template.fill(point), template.settle(point))


def _of_run(
    name: str, study: Study, template: Template, covers: Mapping[str, object]
) -> Iterator[Start]:
    """The trials of an earlier run that this template can express."""
    believed = all(study.header.covers.get(key) == covers[key] for key in DECISIVE)
    trials = [trial for trial in study.trials if trial.stage == SEARCH and not trial.failure]
    for trial in trials if believed else _best(study, trials):
        start = Start(f"{name} trial {trial.number}", recipe_in(trial.recipe))
        start = expressed(template, start)
        if start.point is None:
            continue
        result = Result(trial.scores, study.tables(trial.number)) if believed else None
        yield Start(start.label, start.recipe, start.point, result)


def _best(study: Study, trials: Sequence[Trial]) -> list[Trial]:
    """The first trials by the total of their losses."""
    outcomes = [(study.goals.outcome(trial), trial) for trial in trials]
    feasible = [(sum(o.losses or ()), t.number, t) for o, t in outcomes if o.feasible]
    return [trial for _, _, trial in sorted(feasible, key=lambda each: each[:2])[:BEST]]
