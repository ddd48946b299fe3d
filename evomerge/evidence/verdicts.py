"""Every finalist against the base and all parents, on items that the search never saw.

To beat the best of several rivals is to beat each of them, so a finalist's p-value is its largest
over the rivals. Over all finalists that were ever scored on this holdout Holm's procedure keeps
the chance of a false "gain" below `LEVEL`. "Worse" is tested the same way from the other side:
that it is worse than some rival, its smallest p times their number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from evomerge.evidence.paired import Scored, UntestableError, count_items, sample_of
from evomerge.statistics.bootstrap import DRAWS, interval, resampled
from evomerge.statistics.holm import holm, holm_levels
from evomerge.statistics.mcnemar import mcnemar
from evomerge.statistics.power import detectable, fewest_wins
from evomerge.statistics.sample import Sample
from evomerge.statistics.swaps import swap_test
from evomerge.statistics.tails import Tails

GAIN, NO_GAIN, WORSE = "gain", "no significant gain", "worse"
TOO_FEW, NO_VERDICT = "too few items for a verdict", "no verdict"

# One-sided, for all finalists together.
LEVEL = 0.025
# Below so many units no verdict is given.
FEWEST = 20
# What is drawn in one comparison is not drawn in the other: streams of the run's seed.
RESAMPLING, SWAPPING = 1, 2


@dataclass(frozen=True)
class Comparison:
    """A finalist beside one rival.

    Attributes:
        rival: the rival's label.
        gain: how much better the finalist is; negative if it is worse.
        p: one-sided, against "it is not better".
        worse: one-sided, against "it is not worse".
    """

    rival: str
    gain: float
    p: float
    worse: float


@dataclass(frozen=True)
class Verdict:
    """What the holdout says for one finalist.

    Attributes:
        number: of the trial.
        label: what reports call the trial; often empty.
        word: ``gain``, ``no significant gain`` or ``worse``; or that there are too few items, or
            no verdict, for which the notes give the reason.
        against: the rival that did best on the holdout, of which gain and interval speak.
        gain: over that rival, in the units of the objective.
        interval: where the true gain lies, with probability ``1 - 2 * level``.
        level: at which its p-value was tested, one-sided.
        p: the largest over all rivals, one-sided.
        adjusted: the same after Holm, to be held against `LEVEL`.
        detectable: the smallest true gain over that rival that would have been found with 80 %
            probability; None where the models do not differ on any item.
        test: ``McNemar`` or ``permutation``.
        units: items, or groups of items that depend on each other.
        items: how many items there are.
        rivals: the base and the parents, one by one.
        notes: what else must be known.
    """

    number: int
    label: str
    word: str
    against: str = ""
    gain: float | None = None
    interval: tuple[float, float] | None = None
    level: float = LEVEL
    p: float | None = None
    adjusted: float | None = None
    detectable: float | None = None
    test: str = ""
    units: int = 0
    items: int = 0
    rivals: tuple[Comparison, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Case:
    """A finalist and its rivals, item by item.

    Attributes:
        finalist: the line of the holdout.
        sample: the rivals' items, then the finalist's.
        rivals: the base and the parents, in the same order.
        items: how many items there are.
        tests: the finalist against each rival.
    """

    finalist: Scored
    sample: Sample = field(repr=False)
    rivals: tuple[Scored, ...]
    items: int
    tests: tuple[Tails, ...]

    @property
    def p(self) -> float:
        """Against "it is not better than all rivals"."""
        return max(each.greater for each in self.tests)

    @property
    def worse(self) -> float:
        """Against "it is worse than no rival"."""
        return min(1.0, len(self.tests) * min(each.less for each in self.tests))

    @property
    def gains(self) -> list[float]:
        """Over each rival."""
        return [float(self.sample.observed[-1] - rival) for rival in self.sample.observed[:-1]]


def judge(
    finalists: Sequence[Scored],
    rivals: Sequence[Scored],
    factors: Mapping[str, float],
    seed: int,
    draws: int = DRAWS,
) -> tuple[Verdict, ...]:
    """A verdict for each finalist.

    Args:
        finalists: all that were ever scored on this holdout, with scores.
        rivals: base and parents, with scores.
        factors: by objective, what its value is multiplied with.
        seed: of the run.
        draws: how many resamplings and swaps.
    """
    cases: dict[int, Case] = {}
    verdicts: dict[int, Verdict] = {}
    for index, finalist in enumerate(finalists):
        found = _case(finalist, rivals, factors, (seed, draws))
        if isinstance(found, Case):
            cases[index] = found
        else:
            verdicts[index] = found
    ps = [case.p for case in cases.values()]
    better, worse = holm(ps), holm([case.worse for case in cases.values()])
    levels = holm_levels(ps, LEVEL)
    for place, (index, case) in enumerate(cases.items()):
        verdict = _measured(case, levels[place], (seed, draws))
        word = GAIN if better[place] <= LEVEL else WORSE if worse[place] <= LEVEL else NO_GAIN
        verdicts[index] = replace(verdict, word=word, adjusted=better[place])
    return tuple(verdicts[index] for index in range(len(finalists)))


def _case(
    finalist: Scored,
    rivals: Sequence[Scored],
    factors: Mapping[str, float],
    chance: tuple[int, int],
) -> Case | Verdict:
    """What can be tested, or the verdict that nothing can."""
    number, label = finalist.trial.subject or 0, finalist.trial.label
    if not rivals:
        note = "neither the base nor a parent was scored on the holdout"
        return Verdict(number, label, NO_VERDICT, notes=(note,))
    models = [*rivals, finalist]
    try:
        sample = sample_of(models, factors)
    except UntestableError as reason:
        return Verdict(number, label, NO_VERDICT, notes=(str(reason),))
    items = count_items(models, factors)
    if sum(sample.units) < FEWEST:
        what = "items" if not sample.grouped else "groups of items"
        note = f"{sum(sample.units)} {what}, at least {FEWEST} are needed"
        return Verdict(number, label, TOO_FEW, units=sum(sample.units), items=items, notes=(note,))
    tests = tuple(_test(sample.pair(-1, rival), *chance) for rival in range(len(rivals)))
    return Case(finalist, sample, tuple(rivals), items, tests)


def _test(pair: Sample, seed: int, draws: int) -> Tails:
    if pair.share is not None:
        return mcnemar(*pair.discordant())
    return swap_test(pair, (seed, SWAPPING), draws)


def _measured(case: Case, level: float, chance: tuple[int, int]) -> Verdict:
    """The verdict, but for its word."""
    seed, draws = chance
    sample, gains = case.sample, case.gains
    strongest = int(np.argmin(gains))
    pair = sample.pair(-1, strongest)
    values = resampled(pair, (seed, RESAMPLING), draws)
    differences = values[:, 0] - values[:, 1]
    smallest = detectable(float(np.std(differences)), level)
    if pair.share is not None:
        smallest = max(smallest, fewest_wins(level) * pair.share)
    return Verdict(
        number=case.finalist.trial.subject or 0,
        label=case.finalist.trial.label,
        word=NO_GAIN,
        against=case.rivals[strongest].trial.label,
        gain=gains[strongest],
        interval=interval(differences, level, sum(sample.units) - len(sample.units)),
        level=level,
        p=case.p,
        detectable=smallest or None,
        test="McNemar" if pair.share is not None else "permutation",
        units=sum(sample.units),
        items=case.items,
        rivals=tuple(
            Comparison(rival.trial.label, gain, test.greater, test.less)
            for rival, gain, test in zip(case.rivals, gains, case.tests, strict=True)
        ),
    )
