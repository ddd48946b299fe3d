"""Weight matching: each unit takes the place of the anchor's unit whose weights it resembles most.

What is maximised is the inner product of the anchor's weights and the moved ones. While all groups
but one stay, the best move of that one is an assignment, or a rotation; so one group after the
other moves, until none gains ([1], algorithm 1). Factors, in which the inner product has no
maximum, are balanced first, in both models: what a unit writes is as large as what is read of it.

It begins with a pass through the network in which a tensor tells of a group only where its other
axes are known already. So a copy that was moved along all symmetries at once is recognised.

[1] S. K. Ainsworth, J. Hayase, S. Srinivasa. Git Re-Basin: merging models modulo permutation
    symmetries. ICLR 2023. https://arxiv.org/abs/2209.04836
"""

from __future__ import annotations

from collections.abc import Collection
from random import Random

from evomerge.alignment.balancing import balanced
from evomerge.alignment.elements import Element, Move, compose, identity, invert
from evomerge.alignment.layout import Layout
from evomerge.alignment.matching import Read, Side, best_move


def weight_matching(layout: Layout, anchor: Read, source: Read, *, seed: int = 0) -> Element:
    """The element that brings a model to an anchor.

    Tensors are read one after the other, and no more than one layer's attention is held at once.

    Args:
        layout: of both; what it lets move is moved.
        anchor: reads the tensors of the model that stays.
        source: reads those of the model to be moved.
        seed: of the order in which groups are visited.
    """
    sides = in_balance(layout, anchor, source)
    return as_they_are(matched(sides, Random(seed)), sides)


def in_balance(layout: Layout, anchor: Read, source: Read) -> tuple[Side, Side]:
    """The model that stays and the one that moves, their factors balanced."""
    still, free = (Side(layout, read, balanced(layout, read)) for read in (anchor, source))
    return still, free


def as_they_are(element: Element, sides: tuple[Side, Side]) -> Element:
    """What an element that was found for balanced models is for them as they are."""
    still, free = sides
    whole = compose(invert(still.done), compose(element, free.done))
    return {name: move.tidied() for name, move in whole.items()}


def matched(sides: tuple[Side, Side], random: Random) -> dict[str, Move]:
    """The element that brings the second of two balanced models to the first."""
    layout = sides[0].layout
    element = identity(layout)
    known: set[str] = set()
    stale: set[str] = set()  # what has not been seen as the others stand now
    for name in layout.groups:
        known.add(name)
        element[name] = visit(name, element, sides, known)
        stale |= {name} if layout.beside(name) - known else set()
    return improved(sides, element, stale, random)


def improved(
    sides: tuple[Side, Side], element: Element, stale: Collection[str], random: Random
) -> dict[str, Move]:
    """What is nearer than an element, or the same moves where nothing is.

    Args:
        sides: the model that stays and the one that moves, both balanced.
        element: what is done to the second so far.
        stale: the groups that may gain.
        random: of the order in which groups are visited.
    """
    layout = sides[0].layout
    now, stale = dict(element), set(stale)
    while stale:
        name = random.choice(sorted(stale))
        stale.remove(name)
        found = visit(name, now, sides, layout.groups)
        if found is not now[name]:
            now[name] = found
            stale |= layout.beside(name)
    return now


def visit(name: str, element: Element, sides: tuple[Side, Side], known: Collection[str]) -> Move:
    """The best move of one group, after the others have been moved as they are now."""
    return best_move(name, element[name], (sides[0], others_moved(name, element, sides)), known)


def others_moved(name: str, element: Element, sides: tuple[Side, Side]) -> Side:
    """The model that moves, with all of its groups moved but one."""
    still, free = sides
    others = {group: move for group, move in element.items() if group != name}
    return Side(still.layout, free.read, compose(others, free.done))
