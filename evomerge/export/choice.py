"""Which trials of a study leave it."""

from __future__ import annotations

from dataclasses import dataclass

from evomerge.errors import StudyError
from evomerge.evidence import best_of
from evomerge.report.standing import Standing
from evomerge.report.summary import simplified_of
from evomerge.study import Study
from evomerge.trial import Trial


@dataclass(frozen=True)
class Choice:
    """What is asked for; the best trial if nothing is.

    Attributes:
        number: of a trial.
        simplified: the best one, simplified.
        front: every trial of the front.
    """

    number: int | None = None
    simplified: bool = False
    front: bool = False


def chosen(study: Study, choice: Choice) -> list[Trial]:
    """The trials that ``choice`` means, in the order of their numbers.

    Raises:
        StudyError: there is no such trial.
        SearchError: no trial is feasible.
    """
    if choice.number is not None:
        return [study.find(choice.number)]
    best = best_of(study)
    if choice.front:
        return Standing(study.goals, study.trials).front
    if not choice.simplified:
        return [best]
    simple = simplified_of(study, best)
    if simple is None:
        raise StudyError(
            f"{study.run}: has no simplified winner; leave out --simplified, or let the search "
            "end: evomerge resume simplifies its winner"
        )
    return [simple]
