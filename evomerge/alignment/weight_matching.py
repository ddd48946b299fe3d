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
    still = Side(layout, anchor, balanced(layout, anchor))
    free = balanced(layout, source)
    element = identity(layout)
    known: set[str] = set()
    stale: set[str] = set()  # what has not been seen as the others stand now
    for name in layout.groups:
        known.add(name)
        element[name] = _visit(name, element, (still, source, free), known)
        stale |= {name} if layout.beside(name) - known else set()
    random = Random(seed)
    while stale:
        for name in random.sample(sorted(stale), len(stale)):
            stale.remove(name)
            found = _visit(name, element, (still, source, free), known)
            if found is not element[name]:
                element[name] = found
                stale |= layout.beside(name)
    whole = compose(invert(still.done), compose(element, free))
    return {name: move.tidied() for name, move in whole.items()}


def _visit(
    name: str, element: dict[str, Move], models: tuple[Side, Read, Element], known: set[str]
) -> Move:
    """The best move of one group, after the others have been moved as they are now."""
    still, source, free = models
    others = {group: move for group, move in element.items() if group != name}
    side = Side(still.layout, source, compose(others, free))
    return best_move(name, element[name], (still, side), known)
