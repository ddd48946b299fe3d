"""From a config's ``probe`` to what tells a dead candidate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from evomerge.config.document import ProbeSetting
from evomerge.errors import RecipeError, unknown
from evomerge.evaluators.base import Evaluator
from evomerge.goals import Bound, Goals
from evomerge.searching import Probing, Start
from evomerge.searching.probing import evaluator_of

# The keys that say when a candidate is dead.
LIMITS = ("min", "max", "share")


def probing_of(
    setting: ProbeSetting | None, goals: Goals, evaluators: Mapping[str, Evaluator]
) -> Probing | None:
    """How dead candidates are to be told.

    Raises:
        RecipeError: no evaluator gives the score, it is not said which of several, or there are
            two limits.
    """
    if setting is None:
        return None
    if setting.score is None and goals.pareto:
        raise RecipeError(
            "probe.score: missing; there are several objectives: name one of "
            f"{', '.join(goals.weights)}"
        )
    if setting.score is not None and evaluator_of(setting.score) not in evaluators:
        raise RecipeError(f"probe.score: {unknown('score', setting.score, evaluators)}")
    given = [key for key in LIMITS if key in setting.model_fields_set]
    if len(given) > 1:
        raise RecipeError(f"probe: found {' and '.join(given)}; give one of them")
    weights = goals.weights if setting.score is None else {setting.score: 1.0}
    probing = Probing(weights, setting.items, share=setting.share)
    if setting.min is None and setting.max is None:
        return probing
    return replace(probing, bound=Bound(probing.name, setting.min, setting.max))


def check_probing(probing: Probing | None, starts: Sequence[Start]) -> None:
    """Refuses a probe that measures against nothing.

    Raises:
        RecipeError: it has no limit, and nothing is scored before the search.
    """
    if probing is not None and probing.bound is None and not starts:
        raise RecipeError(
            "probe: there are no baselines to measure against; say with min or max when a "
            "candidate is dead"
        )
