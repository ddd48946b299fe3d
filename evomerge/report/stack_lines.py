"""A stack of layers as lines of text: which layer of which model at each hop, at what scale.

hop       0     1     2     3
base      0     1     .     3
maths     .     .     2     .
scale              0.75
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from evomerge.recipe import ModelReference
from evomerge.stacks import Hop, stack_in

# Columns of a line: what a paragraph has.
WIDTH = 100
GAP = 2
NOTHING = "."


def stack_text(recipe: Mapping[str, object]) -> str | None:
    """The stack of a recipe's plain tree, each line ending in a newline; None if it is none.

    A long one goes on in further lines.
    """
    found = stack_in(recipe)
    if found is None:
        return None
    stack, anchor = found
    names = short_names([anchor, *(hop.model for hop in stack)])
    rows = [("hop", [str(number) for number in range(len(stack))])]
    for model in dict.fromkeys(hop.model for hop in stack):
        row = [str(hop.layer) if hop.model == model else NOTHING for hop in stack]
        rows.append((names[model], row))
    if any(hop.scale != 1 for hop in stack):
        rows.append(("scale", [scale_text(hop) for hop in stack]))
    lines = "\n".join("".join(f"{line}\n" for line in lines) for lines in _folded(rows))
    return f"{lines}\nEmbeddings, last norm and head are those of {names[anchor]}.\n"


def scale_text(hop: Hop) -> str:
    """What the residual stream is multiplied with before a hop; empty where it stays as it is."""
    return "" if hop.scale == 1 else f"{hop.scale:.2f}"


def short_names(models: Sequence[ModelReference]) -> dict[ModelReference, str]:
    """As many of the last parts of their paths as tell the models apart."""
    parts = {model: str(model).split("/") for model in models}
    for length in range(1, max(map(len, parts.values()))):
        names = {model: "/".join(each[-length:]) for model, each in parts.items()}
        if len(set(names.values())) == len(names):
            return names
    return {model: str(model) for model in models}


def _folded(rows: Sequence[tuple[str, Sequence[str]]]) -> Iterator[list[str]]:
    """The rows, by name, as lines, in parts that are narrow enough."""
    left = max(len(name) for name, _ in rows)
    cell = GAP + max(len(text) for _, row in rows for text in row)
    most = max(1, (WIDTH - left) // cell)
    for first in range(0, len(rows[0][1]), most):
        yield [
            (
                name.ljust(left) + "".join(text.rjust(cell) for text in row[first : first + most])
            ).rstrip()
            for name, row in rows
        ]
