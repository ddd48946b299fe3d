"""Who is shown what goes on."""

from __future__ import annotations

from typing import Protocol

from evomerge.trial import Trial


class Watcher(Protocol):
    """Who is shown what goes on."""

    def began(self, stage: str, number: int) -> None:
        """A trial has begun."""

    def ended(self, trial: Trial) -> None:
        """A trial is recorded, or was found recorded."""

    def note(self, text: str) -> None:
        """Something to be known."""


class Unwatched:
    """Shows nothing to nobody."""

    def began(self, stage: str, number: int) -> None:
        """Nothing."""

    def ended(self, trial: Trial) -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Nothing."""
