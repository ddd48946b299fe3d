"""The models of a recipe: opened, and known to fit together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from evomerge.checkpoint.adapter import Adapted
from evomerge.checkpoint.reader import Checkpoint
from evomerge.checkpoint.source import Source, open_source
from evomerge.checkpoint.vocabulary import Vocabulary, build_vocabulary, check_same_vocabulary
from evomerge.checkpoint.with_vocabulary import WithVocabulary
from evomerge.errors import CheckpointError, MergeError
from evomerge.families import Family, Part, architecture_of, family_of, layers_in
from evomerge.merging.alignment import Brought, as_merged
from evomerge.merging.inputs import Input
from evomerge.recipe import ModelReference, Recipe

# For each layer, and for both ends, the tensors of one model: generic name -> name on disk.
Table = Mapping[Part | int, Mapping[str, str]]


@dataclass(frozen=True)
class Model:
    """One opened model.

    Attributes:
        index: its place among the references of the recipe.
        source: its tensors.
        layers: how many it has.
        head: the head's name on disk; None when it is tied to the embedding.
        embedding: the embedding's name on disk, or None when there is none.
        root: what stands before the names of its tensors, such as ``model.``.
    """

    index: int
    source: Source
    layers: int
    head: str | None
    embedding: str | None
    root: str

    @cached_property
    def inputs(self) -> Mapping[str, Input]:
        """What it contributes to a merge, by the names of its tensors: all candidates share it."""
        return {name: Input(self.index, self.source, name) for name in self.source.names()}


@dataclass(frozen=True)
class Models:
    """All models of a recipe.

    Attributes:
        family: of every one of them.
        by_reference: in the order of the recipe.
        donor_reference: whose config and tokenizer the output gets: the base's, else those of the
            first listed.
        vocabulary: the output's, where the recipe asks for one.
        aligned: those that the recipe aligns.
    """

    family: Family
    by_reference: Mapping[ModelReference, Model]
    donor_reference: ModelReference
    vocabulary: Vocabulary | None = None
    aligned: tuple[Brought, ...] = ()

    @property
    def donor(self) -> Model:
        """The model that ``donor_reference`` names."""
        return self.by_reference[self.donor_reference]

    @cached_property
    def tables(self) -> Mapping[ModelReference, Table]:
        """What each model calls its tensors; a search asks for it at every candidate."""
        return {
            reference: _table(model, self.family) for reference, model in self.by_reference.items()
        }

    def layers(self) -> Mapping[ModelReference, int]:
        """How many layers each model has."""
        return {reference: model.layers for reference, model in self.by_reference.items()}


def open_models(recipe: Recipe) -> Models:
    """Opens every model that a recipe names; reads headers and configs, not weights.

    Raises:
        CheckpointError: a model cannot be found or read.
        MergeError: they are not of one architecture.
        AlignmentError: two of them cannot be aligned.
        VocabularyError: their vocabularies differ, or cannot be brought together.
    """
    return with_sources(recipe, as_merged(recipe, open_references(recipe.model_references())))


def open_references(
    references: Iterable[ModelReference],
) -> dict[ModelReference, Checkpoint | Adapted]:
    """Opens each model once, or none if one of them cannot be opened.

    Raises:
        CheckpointError: a model cannot be found or read.
    """
    opened: dict[ModelReference, Checkpoint | Adapted] = {}
    try:
        for reference in dict.fromkeys(references):
            opened[reference] = open_source(reference)
    except BaseException:
        for source in opened.values():
            source.close()
        raise
    tell_apart(opened)
    return opened


def tell_apart(sources: Mapping[ModelReference, Checkpoint | Adapted]) -> None:
    """Calls models whose folders have one name, such as ``checkpoint-500``, by their paths."""
    labels = Counter(source.label for source in sources.values())
    for reference, source in sources.items():
        if labels[source.label] > 1:
            source.label = str(reference)


def with_sources(recipe: Recipe, sources: Mapping[ModelReference, Source]) -> Models:
    """The models of a recipe, read through ``sources``, in its order: each as it is merged.

    Raises:
        MergeError: they are not of one architecture.
        VocabularyError: their vocabularies differ, or cannot be brought together.
    """
    _check_architectures(list(sources.values()))
    first = next(iter(sources.values()))
    family = family_of(first.config, first.names(), first.label)
    vocabulary = build_vocabulary(recipe, sources, family)
    if vocabulary is None:
        check_same_vocabulary(list(sources.values()), family)
    read = sources if vocabulary is None else vocabulary.sources
    models = {
        reference: as_model(index, source, family)
        for index, (reference, source) in enumerate(read.items())
    }
    donor = recipe.base_model or recipe.references()[0]
    aligned = tuple(source for source in sources.values() if isinstance(source, Brought))
    return Models(family, models, donor, vocabulary, aligned)


def _check_architectures(sources: Sequence[Source]) -> None:
    kinds = [architecture_of(source.config, source.label) for source in sources]
    for source, kind in zip(sources, kinds, strict=True):
        if kind != kinds[0]:
            raise MergeError(
                f"{source.label}: is a {kind}, but {sources[0].label} is a {kinds[0]}; "
                "models must share an architecture to be merged"
            )


def as_model(index: int, source: Source, family: Family) -> Model:
    """What a merge needs to know of one model.

    Raises:
        CheckpointError: its config.json does not describe its tensors.
    """
    names = source.names()
    embedding = next((name for name in names if family.is_embedding(name)), None)
    # In a new vocabulary a tied model serves a head of its own, where another model has one.
    lends = source.config.get("tie_word_embeddings") is True and embedding is not None
    tied = lends and not isinstance(source, WithVocabulary)
    head = family.head if family.head in names and not tied else None
    layered = next((name for name in names if family.layer_of(name) is not None), "")
    root = layered.removesuffix(family.bare(layered))
    layers = layers_in(source.config, family, source.label)
    # More layers than the config says are no fault: some models end in one that looks further
    # ahead, which transformers leaves out.
    found = {family.layer_of(name) for name in names}
    missing = next((layer for layer in range(layers) if layer not in found), None)
    if missing is not None:
        raise CheckpointError(
            f"{source.label}: config.json says '{family.layer_count}': {layers}, but there are "
            f"no tensors of layer {missing}; download the model again"
        )
    return Model(index, source, layers, head, embedding, root)


def _table(model: Model, family: Family) -> Table:
    table: dict[Part | int, dict[str, str]] = {}
    for name in model.source.names():
        if name == family.head:
            if model.head is not None:
                table.setdefault("after", {})[name] = name
            continue
        layer = family.layer_of(name)
        key = family.part_of(name) if layer is None else layer
        generic = family.bare(name) if layer is None else family.unnumbered(name)
        table.setdefault(key, {})[generic] = name
    return table
