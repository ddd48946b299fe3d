"""Where the time of a study went, and why trials failed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from evomerge.trial import DEAD, Failure, Trial

# Phases of a trial that are its work. Everything else is overhead.
WORK = ("ask", "merge", "probe", "forward")


@dataclass(frozen=True)
class Times:
    """The seconds of the trials that were scored, not recalled.

    Attributes:
        trials: how many there are.
        total: all their seconds.
        phases: the seconds of each phase, the longest first.
        overhead: seconds of one trial that go neither into the optimizer's proposal, nor into
            merging, nor into probes, nor into forward passes; the mean.
    """

    trials: int
    total: float
    phases: Mapping[str, float]
    overhead: float


@dataclass(frozen=True)
class Failures:
    """Trials that failed in one way.

    Attributes:
        kind: ``error``, ``deadline``, ``memory``, ``worker`` or ``dead``.
        message: what each of them says; of the dead, whose scores differ, what the first says.
        trials: their numbers.
    """

    kind: str
    message: str
    trials: tuple[int, ...]


def times(trials: Iterable[Trial]) -> Times:
    """Where the time went."""
    scored = [trial for trial in trials if trial.recalled is None and trial.seconds]
    phases: dict[str, float] = {}
    for trial in scored:
        for phase, seconds in trial.seconds.items():
            phases[phase] = phases.get(phase, 0.0) + seconds
    overhead = sum(seconds for phase, seconds in phases.items() if phase not in WORK)
    longest_first = dict(sorted(phases.items(), key=lambda entry: -entry[1]))
    share = overhead / len(scored) if scored else 0.0
    return Times(len(scored), sum(phases.values()), longest_first, share)


def failures(trials: Iterable[Trial]) -> tuple[Failures, ...]:
    """The ways in which trials failed, the commonest first."""
    found: dict[Failure, list[int]] = {}
    dead: Failure | None = None
    for trial in trials:
        if (failure := trial.failure) is not None:
            if failure.kind == DEAD:
                failure = dead = dead or failure
            found.setdefault(failure, []).append(trial.number)
    groups = [
        Failures(failure.kind, failure.message, tuple(numbers))
        for failure, numbers in found.items()
    ]
    return tuple(sorted(groups, key=lambda group: (-len(group.trials), group.trials)))
