"""The encoding ``edits``: an intact model, changed by a bounded number of edits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from evomerge.space import ChoiceDimension, Dimension, FloatDimension, IntDimension
from evomerge.stacks.edits import NEEDS, Edit, Kind
from evomerge.stacks.ground import Ground
from evomerge.stacks.hops import Stack, block
from evomerge.stacks.scripts import script
from evomerge.trial import Point, Value

NONE = "none"
KINDS: Mapping[str, Kind] = {kind: kind for kind in NEEDS}


@dataclass(frozen=True)
class EditCode:
    """Edits of the anchor, one after the other, between its kept ends.

    Edits that would lead to too few layers or too many, and all after them, are not made.

    Attributes:
        ground: the stacks that there are.
        title: what the names of its dimensions begin with.
        edits: how many edits there may be.
        block: how many layers are skipped, repeated or inserted at once, at most.
    """

    ground: Ground
    title: str
    edits: int
    block: int

    @cached_property
    def dimensions(self) -> tuple[Dimension, ...]:
        """For each edit: which, where, and what else it may need."""
        return tuple(each for number in range(self.edits) for each in self._of_edit(number))

    @cached_property
    def conditions(self) -> Mapping[str, tuple[str, tuple[str, ...]]]:
        """What an edit needs counts where it is of such a kind."""
        found: dict[str, tuple[str, tuple[str, ...]]] = {}
        for number in range(self.edits):
            kind = self._named(number, "edit")
            found[self._named(number, "at")] = kind, tuple(self._kinds)
            for part in dict.fromkeys(part for parts in NEEDS.values() for part in parts):
                needing = tuple(each for each in self._kinds if part in NEEDS[KINDS[each]])
                found[self._named(number, part)] = kind, needing
        names = {dimension.name for dimension in self.dimensions}
        return {name: condition for name, condition in found.items() if name in names}

    @property
    def neutral(self) -> Mapping[str, Value]:
        """No edit; a scale that is moved is an edit."""
        return {self._named(number, "edit"): NONE for number in range(self.edits)}

    def decode(self, point: Point) -> Stack:
        """The anchor after all edits that are made."""
        return self.ground.whole(self._after(point, self._made(point)))

    def read(self, point: Point) -> Point:
        """The kinds of edits that change something, and what they need."""
        made = self._made(point)
        found: dict[str, Value] = {}
        stack = self.ground.middle
        for number in range(made):
            edit = self._edit(point, number)
            after = stack if edit is None else edit(stack)
            if edit is not None and after != stack:
                parts = ("edit", "at", *NEEDS[edit.kind])
                names = [self._named(number, part) for part in parts]
                found |= {name: point[name] for name in names if name in point}
            stack = after
        return found

    def encode(self, stack: Stack) -> Point | None:
        """The shortest script of edits that is found, if it is short enough."""
        middle = self.ground.cut(stack)
        if middle is None:
            return None
        edits = script(self.ground.middle, middle, self.block, self.edits)
        if edits is None:
            return None
        point: dict[str, Value] = {
            self._named(number, "edit"): NONE for number in range(len(edits), self.edits)
        }
        for number, edit in enumerate(edits):
            point |= self._values(number, edit)
        return point if self._legal(point) and self.decode(point) == stack else None

    def _of_edit(self, number: int) -> Iterator[Dimension]:
        kinds = self._kinds
        half = (len(kinds) + 1) // 2
        # In the middle of its range an edit is none.
        yield ChoiceDimension(self._named(number, "edit"), (*kinds[:half], NONE, *kinds[half:]))
        yield IntDimension(self._named(number, "at"), 0, max(self.ground.slots[1] - 1, 0))
        if self.block > 1:
            yield IntDimension(self._named(number, "length"), 1, self.block)
        if len(self.ground.sources) > 1:
            yield ChoiceDimension(self._named(number, "model"), tuple(self.ground.sources))
        deepest = max(source.layers for source in self.ground.sources.values())
        yield IntDimension(self._named(number, "layer"), 0, deepest - 1)
        if self.ground.scale is not None:
            yield FloatDimension(self._named(number, "scale"), *self.ground.scale)

    @property
    def _kinds(self) -> tuple[str, ...]:
        return tuple(kind for kind in KINDS if kind != "scale" or self.ground.scale is not None)

    def _named(self, number: int, part: str) -> str:
        return f"{self.title}[{number}].{part}"

    def _edit(self, point: Point, number: int) -> Edit | None:
        """The edit of that number; None if there is none."""
        kind = KINDS.get(str(point[self._named(number, "edit")]))
        if kind is None:
            return None
        at = int(point[self._named(number, "at")])
        length = int(point.get(self._named(number, "length"), 1))
        if kind == "scale":
            return Edit(kind, at, scale=float(point[self._named(number, "scale")]))
        donor = self._donor(point, number, length) if "model" in NEEDS[kind] else ()
        return Edit(kind, at, length, donor)

    def _donor(self, point: Point, number: int, length: int) -> Stack:
        alias = str(point.get(self._named(number, "model"), self.ground.anchor))
        source = self.ground.sources[alias]
        layer = min(int(point[self._named(number, "layer")]), source.layers - 1)
        return block(source.reference, layer, min(layer + length, source.layers))

    def _after(self, point: Point, made: int) -> Stack:
        """What stands between the ends after the first edits."""
        stack = self.ground.middle
        for number in range(made):
            edit = self._edit(point, number)
            stack = stack if edit is None else edit(stack)
        return stack

    def _made(self, point: Point) -> int:
        """How many edits are made: as many as there may be."""
        for made in range(self.edits, 0, -1):
            if self.ground.fits(self._after(point, made)):
                return made
        return 0

    def _values(self, number: int, edit: Edit) -> dict[str, Value]:
        """An edit, written down; what it does not need is left out."""
        parts: dict[str, Value] = {"edit": edit.kind, "at": edit.at, "length": edit.length}
        parts["scale"] = edit.scale
        if edit.donor:
            parts["model"] = self.ground.aliases[edit.donor[0].model]
            parts["layer"] = edit.donor[0].layer
        needed = ("edit", "at", *NEEDS[edit.kind])
        written = {self._named(number, part): parts[part] for part in needed}
        names = {dimension.name for dimension in self.dimensions}
        return {name: value for name, value in written.items() if name in names}

    def _legal(self, point: Point) -> bool:
        return all(
            dimension.admits(point[dimension.name])
            for dimension in self.dimensions
            if dimension.name in point
        )
