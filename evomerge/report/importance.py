"""Which dimensions of the space decide how good a recipe is: PED-ANOVA, as Optuna has it.

[1] S. Watanabe, A. Bansal, F. Hutter. PED-ANOVA: efficiently quantifying hyperparameter importance
    in arbitrary subspaces. IJCAI 2023. https://arxiv.org/abs/2304.10255
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from evomerge.goals import Goals
from evomerge.trial import SEARCH, Trial, Value

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution

# Below this the best tenth is two trials or less, and says nothing.
ENOUGH = 30
# In the names of what writes down a stack of layers. Most of it counts for nothing in most trials,
# and what a place holds depends on the places before it: alone, none of them says anything.
STACKED = ".stack["


def importances(trials: Sequence[Trial], goals: Goals) -> Mapping[str, float] | None:
    """How much each dimension says about which trials are among the best tenth.

    Of the trials of the search that have scores. Their values span what counts as the space, so
    that no template is needed. With several objectives that stay apart, the best tenth is the part
    nearest to the front. What writes down stacks of layers is left out.

    Returns:
        By dimension, most important first; they sum to 1, or are all 0 where none says anything.
        None if there are fewer trials than `ENOUGH`, or none of the dimensions varies.
    """
    scored = []
    for trial in trials:
        losses = goals.outcome(trial).losses
        if trial.stage == SEARCH and trial.point and losses is not None:
            scored.append((dict(trial.point), losses))
    if len(scored) < ENOUGH:
        return None
    names = [name for name in scored[0][0] if STACKED not in name]
    spans = {name: _span([point[name] for point, _ in scored]) for name in names}
    varied = {name: span for name, span in spans.items() if span is not None}
    if not varied:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna's remarks are for its own users
        return _ped_anova(scored, varied, goals.count)


def _span(values: Sequence[Value]) -> BaseDistribution | None:
    """What the values vary over; None if they do not."""
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    distinct = sorted(set(values), key=lambda value: (str(type(value)), value))
    if len(distinct) == 1:
        return None
    if any(isinstance(value, str) for value in distinct):
        return CategoricalDistribution(tuple(map(str, distinct)))
    low, high = min(map(float, distinct)), max(map(float, distinct))
    if all(isinstance(value, int) for value in distinct):
        return IntDistribution(int(low), int(high))
    return FloatDistribution(low, high)


def _ped_anova(
    scored: Sequence[tuple[Mapping[str, Value], tuple[float, ...]]],
    spans: Mapping[str, BaseDistribution],
    losses: int,
) -> Mapping[str, float]:
    import optuna

    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        study: Study = optuna.create_study(directions=["minimize"] * losses)
        for point, values in scored:
            params = {name: point[name] for name in spans}
            study.add_trial(
                optuna.create_trial(params=params, distributions=dict(spans), values=list(values))
            )
        evaluator = optuna.importance.PedAnovaImportanceEvaluator()
        found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    finally:
        optuna.logging.set_verbosity(level)
    return found
