"""The models of a recipe as they are merged: those that it aligns are read moved."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from threading import Lock

from evomerge.aligners.base import Settings
from evomerge.aligners.kept import Kept, alignment_of, is_kept
from evomerge.aligners.pairs import pair_of
from evomerge.alignment.elements import Element
from evomerge.alignment.layout import HeadGroup, Layout
from evomerge.alignment.on_disk import layout_of_source
from evomerge.alignment.source import Aligned
from evomerge.checkpoint.source import Source
from evomerge.checkpoint.tokenizer import read_tokenizer
from evomerge.errors import AlignmentError, RecipeError
from evomerge.recipe import ModelReference, Recipe
from evomerge.recipe.align import GROUPS, Align
from evomerge.recipe.document import Way
from evomerge.recipe.entry import plain


class Brought(Aligned):
    """A model that is brought to another; how, is found when it is first needed, and kept on disk.

    Attributes:
        anchor: the model that it is brought to.
        settings: how.
    """

    def __init__(self, source: Source, anchor: Source, settings: Settings) -> None:
        """Reads headers, no weights.

        Raises:
            AlignmentError: the models cannot be aligned.
            CheckpointError: a config.json does not say enough.
        """
        pair = pair_of(source, anchor)
        exact = not settings.mixes and not _has_factors(pair.layout.only(settings.groups))
        layout = layout_of_source(source)
        super().__init__(source, layout, self._element, exact=exact, padding=pair.padding)
        self.anchor = anchor
        self.settings = settings
        self._of = source
        self._lock = Lock()

    @property
    def task(self) -> str:
        """What is done while it is being found, in words."""
        return f"aligning {self.label} to {self.anchor.label} by {self.settings.method}"

    @property
    def is_known(self) -> bool:
        """Whether it has been found, now or at another time."""
        return "_found" in vars(self) or is_kept(self._of, self.anchor, self.settings)

    @cached_property
    def _found(self) -> Kept:
        return alignment_of(self._of, self.anchor, self.settings)

    def _element(self) -> Element:
        with self._lock:  # whoever comes second waits
            return self._found.alignment.element


def as_merged(
    recipe: Recipe, opened: Mapping[ModelReference, Source]
) -> dict[ModelReference, Source]:
    """The models that a recipe merges, in its order: each as it is, or read moved.

    Args:
        recipe: what it aligns to what, and how.
        opened: its models, and those that they are aligned to.

    Raises:
        RecipeError: there is no such aligner, or no such option of it; the tokens of two models
            that are aligned differ.
        AlignmentError: two models cannot be aligned.
    """
    moved = {
        model: brought(model, way, opened, tokens=_has_tokens(recipe))
        for model, way in recipe.aligned().items()
    }
    return {model: moved.get(model) or opened[model] for model in recipe.references()}


def brought(
    model: ModelReference,
    way: Way,
    opened: Mapping[ModelReference, Source],
    *,
    tokens: bool,
) -> Brought:
    """A model as a recipe aligns it; what was found is found again on disk.

    Args:
        model: which.
        way: how.
        opened: it, and the one that it is aligned to.
        tokens: whether the recipe rearranges vocabularies, which then have to be alike.

    Raises:
        EvomergeError: as `as_merged`.
    """
    source, anchor = opened[model], opened[way.anchor]
    settings = _settings(way.how, way.where)
    if tokens:
        mine, theirs = (read_tokenizer(s.folder, s.label).ids for s in (source, anchor))
        if mine != theirs:
            raise RecipeError(
                f"{way.where}: {source.label} and {anchor.label} have different tokens, so that "
                "the rows of their embeddings tell nothing of each other; merge them without "
                "'align'"
            )
    return Brought(source, anchor, settings)


def _settings(how: Align, where: str) -> Settings:
    groups = GROUPS if how.groups is None else how.groups
    options = {key: plain(value) for key, value in how.options.items()}
    try:
        return Settings(how.method, groups, how.seed, options)
    except AlignmentError as error:
        raise RecipeError(f"{where}: {error}") from error


def _has_tokens(recipe: Recipe) -> bool:
    return recipe.tokenizer is not None or recipe.tokenizer_source is not None


def _has_factors(layout: Layout) -> bool:
    """Whether numbers may get factors where a layout lets units move."""
    return any(
        bool(group.moving & {"keys", "values"})
        if isinstance(group, HeadGroup)
        else group.scaled or group.turned
        for group in layout.groups.values()
    )
