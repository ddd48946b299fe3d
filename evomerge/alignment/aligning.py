"""Brings one model to another, and says what that gained."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

from evomerge.alignment.elements import Element
from evomerge.alignment.fit import Fit, fits
from evomerge.alignment.layout import GROUPS, Layout
from evomerge.alignment.matching import Read
from evomerge.alignment.weight_matching import weight_matching
from evomerge.errors import AlignmentError, unknown

# Models in which no unit moves, and whose weights would come nearer by less than this in cosine,
# grew from one base: what is left is what they learned, not where it stands.
SIBLINGS = 1e-3


class Aligner(Protocol):
    """Finds the element that brings a model to an anchor."""

    def __call__(self, layout: Layout, anchor: Read, source: Read, *, seed: int) -> Element:
        """See `evomerge.alignment.weight_matching.weight_matching`."""


ALIGNERS: Mapping[str, Aligner] = MappingProxyType({"weight_matching": weight_matching})


@dataclass(frozen=True)
class Alignment:
    """What was found.

    Attributes:
        element: what brings the model to the anchor; empty for siblings.
        fits: what it gains, for each kind of groups that was asked for.
        siblings: whether the models stand alike already, so that nothing is moved.
    """

    element: Element
    fits: tuple[Fit, ...]
    siblings: bool


@dataclass(frozen=True)
class Settings:
    """How to align.

    Attributes:
        method: one of `ALIGNERS`.
        groups: what may be moved, of `GROUPS`.
        seed: of the order in which groups are visited.
    """

    method: str = "weight_matching"
    groups: Collection[str] = GROUPS
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuses what does not exist.

        Raises:
            AlignmentError: there is no such method or group.
        """
        if self.method not in ALIGNERS:
            raise AlignmentError(f"method: {unknown('aligner', self.method, ALIGNERS)}")
        if not self.groups:
            raise AlignmentError(f"groups: found none; available: {', '.join(GROUPS)}")
        for group in self.groups:
            if group not in GROUPS:
                raise AlignmentError(f"groups: {unknown('group', group, GROUPS)}")


def align(layout: Layout, anchor: Read, source: Read, settings: Settings) -> Alignment:
    """Brings a model to an anchor of the same layout.

    Raises:
        AlignmentError: a tensor holds NaN or infinity.
    """
    moving = layout.only(settings.groups)
    element = ALIGNERS[settings.method](moving, anchor, source, seed=settings.seed)
    found = tuple(fits(moving, anchor, source, element))
    if all(fit.after - fit.before < SIBLINGS and fit.group in _still(found) for fit in found):
        as_is = tuple(Fit(fit.group, fit.before, fit.before, 0, fit.units) for fit in found)
        return Alignment({}, as_is, siblings=True)
    return Alignment(element, found, siblings=False)


def _still(found: Collection[Fit]) -> set[str]:
    """Groups of which nothing moves; gauges always turn a little."""
    return {fit.group for fit in found if not fit.moved or fit.group in {"keys", "values"}}
