"""What an aligner is: it finds the element that brings one model to another.

It is a function of its settings and of the two models: never of the clock or of global random
state. What it finds is checked by whoever applies it, not by the aligner.

@aligner("weight_matching")
class WeightMatching:
    def __init__(self, setup: Setup, *, sweeps: int = 100) -> None: ...  # keywords are YAML keys
    def find(self, pair: Pair) -> Element: ...
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol, TypeVar

from evomerge.alignment.biases import comparable
from evomerge.alignment.elements import Element, compose, identity
from evomerge.alignment.fit import Fit, fits
from evomerge.alignment.layout import GROUPS, Layout
from evomerge.alignment.matching import Read
from evomerge.alignment.rotations import Rotation
from evomerge.checkpoint.source import Source
from evomerge.errors import AlignmentError, RecipeError, unknown
from evomerge.registry import Registry, check_keywords

# Siblings, which grew from one base, have cosines above 0.95; strangers below 0.5. Gauges and
# rotations always turn a little: of what noise lies between siblings they take up their share of
# its dimensions, at most width / (2 hidden), a quarter in tiny models. One that was moved takes up
# all of it.
NEAR, SHARE = 0.5, 0.3
# What a cosine may gain by rounding: equal models are siblings too.
ROUNDING = 1e-6


@dataclass(frozen=True)
class Pair:
    """Two models of one layout.

    Attributes:
        layout: of both, by the names of the source; it lets move only what was asked for.
        anchor: reads the tensors of the model that stays, by the names of the source.
        source: reads those of the model to be moved.
        models: the two as they are on disk, the anchor first, for aligners that run them; None
            where there are only weights.
        padding: what makes the source as wide as the anchor, where it is narrower; the layout and
            ``source`` have it so already.
        narrower: how much narrower it is, naming the models; empty if it is not.
    """

    layout: Layout
    anchor: Read
    source: Read
    models: tuple[Source, Source] | None = None
    padding: Element = field(default_factory=dict)
    narrower: str = ""


@dataclass(frozen=True)
class Setup:
    """What every aligner is made from.

    Attributes:
        seed: of everything that it draws.
    """

    seed: int = 0


class Aligner(Protocol):
    """Finds what brings a model to an anchor.

    One that may mix numbers, as rotations and soft transports do, has an attribute ``mixes``, which
    is true then; one that brings a model to a wider one has ``widens``.
    """

    def find(self, pair: Pair) -> Element:
        """The element that is applied to the source.

        Raises:
            AlignmentError: the models cannot be aligned in this way.
        """


A = TypeVar("A", bound=type[Aligner])

aligners: Registry[Callable[..., Aligner]] = Registry("aligner", package="evomerge.aligners")


def aligner(name: str) -> Callable[[A], A]:
    """Registers the class it decorates under ``name``."""

    def enter(make: A) -> A:
        aligners.add(name, make)
        return make

    return enter


@dataclass(frozen=True)
class Settings:
    """How to align.

    Attributes:
        method: the name of an aligner.
        groups: what may be moved, of `GROUPS`.
        seed: of everything that is drawn.
        options: keywords of the aligner.
    """

    method: str = "weight_matching"
    groups: Collection[str] = GROUPS
    seed: int = 0
    options: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuses what does not exist.

        Raises:
            AlignmentError: there is no such method, group or option.
        """
        if self.method not in aligners:
            raise AlignmentError(f"method: {unknown('aligner', self.method, aligners)}")
        if not self.groups:
            raise AlignmentError(f"groups: found none; available: {', '.join(GROUPS)}")
        for group in self.groups:
            if group not in GROUPS:
                raise AlignmentError(f"groups: {unknown('group', group, GROUPS)}")
        try:
            self.aligner()
        except RecipeError as error:
            raise AlignmentError(str(error)) from error

    @property
    def mixes(self) -> bool:
        """Whether numbers may be mixed, and not only change places."""
        return bool(getattr(self.aligner(), "mixes", False))

    def aligner(self) -> Aligner:
        """The aligner that they describe.

        Raises:
            RecipeError: it has no such option, or none of this value.
        """
        make = partial(aligners[self.method], Setup(self.seed))
        check_keywords(make, self.options, self.method)
        return make(**self.options)


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


def align(pair: Pair, settings: Settings) -> Alignment:
    """Brings one of two models to the other.

    Raises:
        AlignmentError: they cannot be aligned in this way.
    """
    aligner = settings.aligner()
    if pair.narrower and not getattr(aligner, "widens", False):
        raise AlignmentError(f"{pair.narrower}; it takes optimal_transport to align them")
    anchor, source = (comparable(pair.layout, each) for each in (pair.anchor, pair.source))
    layout = pair.layout.only(settings.groups)
    asked = replace(pair, layout=layout, anchor=anchor, source=source)
    found = judged(layout, anchor, source, aligner.find(asked))
    return replace(found, element=compose(found.element, pair.padding))


def judged(layout: Layout, anchor: Read, source: Read, element: Element) -> Alignment:
    """What an element gains; siblings are left as they are."""
    found = tuple(fits(layout, anchor, source, element))
    if not all(_stands(fit, element) for fit in found):
        return Alignment(element, found, siblings=False)
    as_is = fits(layout, anchor, source, identity(layout))
    return Alignment({}, tuple(as_is), siblings=True)


def _stands(fit: Fit, element: Element) -> bool:
    """Whether the units of a kind of groups stand in both models where they stood in their base."""
    turns = fit.group in {"keys", "values"} or isinstance(element.get(fit.group), Rotation)
    still = turns or not fit.moved
    gain, rest = fit.after - fit.before, max(0.0, 1 - fit.before)
    return still and fit.before > NEAR and gain <= SHARE * rest + ROUNDING
