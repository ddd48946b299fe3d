"""The errors meant for the person at the keyboard: one message, exit code 2, no traceback.

    EvomergeError
    ├── RecipeError        a recipe or configuration that cannot be followed
    ├── CheckpointError    a model folder that cannot be read
    │   └── AdapterError   a LoRA adapter that cannot be applied
    ├── VocabularyError    tokenizers that cannot be brought together
    ├── MergeError         models that cannot be merged this way
    ├── AlignmentError     models that cannot be moved along their symmetries
    ├── LinearMergerError  layers or networks that cannot be made, or merged, as asked
    ├── OutputError        a result that cannot be written
    ├── EvaluationError    a model that cannot be scored
    │   ├── UnknownMetric      by a metric that its evaluator does not give
    │   ├── DeadlineExceeded   in the time it was given
    │   └── OutOfMemory        in the memory there is
    ├── SearchError        a run that cannot begin, or cannot go on
    ├── StudyError         a run folder that cannot be read
    ├── Interrupted        stopped by the user, with something to go on from
    └── MissingExtra       a feature whose optional packages are not installed

Messages have the form ``<where>: <found>; <expected or remedy>``.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class EvomergeError(Exception):
    """Something the user can mend. Its text is the whole message."""


class RecipeError(EvomergeError):
    """A recipe or configuration that cannot be followed."""


class CheckpointError(EvomergeError):
    """A model folder that cannot be read."""


class AdapterError(CheckpointError):
    """A LoRA adapter that cannot be applied."""


class VocabularyError(EvomergeError):
    """Tokenizers that cannot be brought together."""


class MergeError(EvomergeError):
    """Models that cannot be merged this way."""


class AlignmentError(EvomergeError):
    """Models that cannot be moved along their symmetries, or not towards each other."""


class LinearMergerError(EvomergeError, ValueError):
    """A layer or a network that cannot be made, or merged, as asked. A ``ValueError`` too."""


class OutputError(EvomergeError):
    """A result that cannot be written."""


class EvaluationError(EvomergeError):
    """A model that cannot be scored."""


class UnknownMetric(EvaluationError):
    """A metric that an evaluator did not give. If it never gave it, its settings are wrong."""


class DeadlineExceeded(EvaluationError):
    """A model that was not scored in time. Another day it might be: never recalled."""


class OutOfMemory(EvaluationError):
    """A model that could not be scored in the memory there was. Never recalled."""


class SearchError(EvomergeError):
    """A run that cannot begin, or cannot go on."""


class StudyError(EvomergeError):
    """A run folder that cannot be read, or numbers that cannot be recorded in it."""


class Interrupted(EvomergeError):
    """The user stopped it. Its text is what there is so far, and how to go on."""


class MissingExtra(EvomergeError):
    """A feature whose optional packages are not installed."""

    def __init__(self, feature: str, package: str, extra: str) -> None:
        super().__init__(f"{feature} needs the {package} package: pip install 'evomerge[{extra}]'")


def placed(error: EvomergeError, where: str) -> EvomergeError:
    """The same kind of error, its message beginning with ``where``."""
    return type(error).__new__(type(error), f"{where}: {error}")


def unknown(what: str, found: str, available: Iterable[str]) -> str:
    """The message for a name that is not among ``available``, with the nearest one that is."""
    names = sorted(available)
    near = get_close_matches(found, names, n=1)
    hint = f"; did you mean '{near[0]}'?" if near else ""
    return f"unknown {what} '{found}'{hint}\n       available: {', '.join(names) or 'none'}"
