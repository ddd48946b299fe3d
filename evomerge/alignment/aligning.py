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

# Siblings, which grew from one base, have cosines above 0.95; strangers below 0.5. Gauges always
# turn a little: of what noise lies between siblings they take up their share of its dimensions, at
# most width / (2 hidden), a quarter in tiny models. A gauge that was moved takes up all of it.
NEAR, SHARE = 0.5, 0.3


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
    """Brings a model to an anchor of the same layout."""
    moving = layout.only(settings.groups)
    element = ALIGNERS[settings.method](moving, anchor, source, seed=settings.seed)
    found = tuple(fits(moving, anchor, source, element))
    if all(map(_stands, found)):
        as_is = tuple(Fit(fit.group, fit.before, fit.before, 0, fit.units) for fit in found)
        return Alignment({}, as_is, siblings=True)
    return Alignment(element, found, siblings=False)


def _stands(fit: Fit) -> bool:
    """Whether the units of a kind of groups stand in both models where they stood in their base."""
    still = not fit.moved or fit.group in {"keys", "values"}
    return still and fit.before > NEAR and fit.after - fit.before < SHARE * (1 - fit.before)
