"""What the user should know of a config that is sound."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from evomerge.evaluators.base import Evaluator

# What it takes to find a gain of .05 at 15 % discordant items, four times in five.
ENOUGH_ITEMS = 500


def on_holdout(holdout: Mapping[str, Evaluator]) -> Iterator[str]:
    """What evidence there will be."""
    if not holdout:
        yield (
            "no holdout: what is found is compared on the items it was chosen by, which "
            f"flatters it; give holdout: with {ENOUGH_ITEMS} items or more"
        )
    sizes = [each.sizes() for each in holdout.values()]
    items = sum(sum(each.values()) for each in sizes if each is not None)
    if None not in sizes and 0 < items < ENOUGH_ITEMS:
        yield (
            f"holdout: {items} items show large gains only; {ENOUGH_ITEMS} or more find one "
            "of .05 four times in five"
        )


def on_benchmarks(evaluators: Mapping[str, Evaluator]) -> Iterator[str]:
    """Whether results are spoilt that are commonly reported."""
    names = sorted({name for each in evaluators.values() for name in each.benchmarks()})
    if names:
        yield (
            f"WARNING: the search is told its scores on {', '.join(names)}, whose results are "
            "commonly reported. A model chosen by them may not report them. Search on other "
            "items, or say allow_benchmarks: true"
        )
