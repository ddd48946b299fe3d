"""Where something stands in a template: by position for messages, by model for names."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """A value of a template.

    Attributes:
        where: as messages say it: ``recipe.models.1.parameters.weight``.
        name: as dimensions are named: ``models[words].parameters.weight``; empty is the recipe.
    """

    where: str
    name: str = ""

    def key(self, key: str) -> Place:
        """What stands under a key."""
        return Place(f"{self.where}.{key}", f"{self.name}.{key}" if self.name else key)

    def item(self, position: int, label: str | None = None) -> Place:
        """An item of a list, called by its position if it has no better name."""
        shown = position if label is None else label
        return Place(f"{self.where}.{position}", f"{self.name}[{shown}]")

    def option(self, position: int, label: str) -> Place:
        """An option of a choice."""
        return Place(f"{self.where}.choose.{position}", f"{self.title}[{label}]")

    @property
    def title(self) -> str:
        """The name of what stands here, also if it is the whole recipe."""
        return self.name or "recipe"
