"""Where the time of a study went, and why trials failed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from evomerge.trial import Trial

# Phases of a trial that are its work. Everything else is overhead.
WORK = ("ask", "merge", "forward")


@dataclass(frozen=True)
class Times:
    """The seconds of the trials that were scored, not recalled.

    Attributes:
        trials: how many there are.
        total: all their seconds.
        phases: the seconds of each phase, the longest first.
        overhead: seconds of one trial that go neither into the optimizer's proposal, nor into
            merging, nor into forward passes; the mean.
    """

    trials: int
    total: float
    phases: Mapping[str, float]
    overhead: float


@dataclass(frozen=True)
class Failures:
    """Trials that failed in one way.

    Attributes:
        kind: ``error``, ``deadline``, ``memory`` or ``worker``.
        message: what each of them says.
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
    found: dict[tuple[str, str], list[int]] = {}
    for trial in trials:
        if trial.failure is not None:
            key = (trial.failure.kind, trial.failure.message)
            found.setdefault(key, []).append(trial.number)
    groups = [Failures(*key, tuple(numbers)) for key, numbers in found.items()]
    return tuple(sorted(groups, key=lambda group: (-len(group.trials), group.trials)))
