"""Picks an optimizer by the size of the space and of the budget, and says why.

The rules follow the tables of `benchmarks/optimizers.py` and, for stacks of layers, of
`benchmarks/stacks.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from evomerge.space import Space

Settings = Mapping[str, object]

# Where a Gaussian process is ahead, and its proposals take less than about a second.
FEW_DIMENSIONS = 20
FEW_TRIALS = 300
# Beyond so many trials a proposal takes seconds.
SLOW_GP = 500

GP: Settings = {"name": "optuna", "sampler": "gp"}
TPE: Settings = {"name": "optuna", "sampler": "tpe"}
CMA: Settings = {"name": "cma"}
CATCMA: Settings = {"name": "catcma"}
GA: Settings = {"name": "ga"}


def choose_optimizer(
    space: Space, objectives: int, budget_trials: int | None, stacks: int = 0
) -> tuple[Settings, str]:
    """The settings of an optimizer, and the reason in words.

    Args:
        space: what is to be searched.
        objectives: how many losses there are.
        budget_trials: how many trials are planned; None if only time or success ends the search.
        stacks: how many stacks of layers the space writes down.
    """
    size = _count(len(space), "dimension")
    if stacks:
        return GA, (
            f"{size} that write down {_count(stacks, 'stack')} of layers: a genetic algorithm, "
            "which changes stacks as stacks"
        )
    few = budget_trials is not None and budget_trials <= FEW_TRIALS
    if objectives == 1 and few and len(space) <= FEW_DIMENSIONS:
        return GP, f"{size} and {budget_trials} trials: a Gaussian process makes most of few trials"
    if not space.choices:
        return CMA, f"{size} and no choices: CMA-ES"
    mixed = f"{size}, of which {_count(len(space.choices), 'choice')}"
    if objectives == 1:
        return CATCMA, f"{mixed}: CatCMA"
    return TPE, f"{mixed}, and {objectives} objectives: TPE"


def advice(settings: Settings, budget_trials: int | None) -> Iterator[str]:
    """What to know before a long search with an optimizer of these settings."""
    if settings.get("sampler") == GP["sampler"] and (budget_trials or 0) > SLOW_GP:
        yield (
            f"optimizer: with gp a proposal takes seconds beyond {SLOW_GP} trials, and this budget "
            f"is {budget_trials}; cma and tpe stay fast"
        )


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"
