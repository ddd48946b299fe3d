"""What is in a model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from evomerge.checkpoint.adapter import Adapted
from evomerge.checkpoint.quantised import quantisation_of
from evomerge.checkpoint.reader import open_checkpoint
from evomerge.checkpoint.source import Source, open_source
from evomerge.families import architecture_of, family_of
from evomerge.inspection.contents import Contents, contents_of
from evomerge.merging.models import as_model
from evomerge.recipe import ModelReference


@dataclass(frozen=True)
class AdapterFacts:
    """A LoRA adapter.

    Attributes:
        name: its path or id.
        rank: of its factors, where it does not differ from module to module.
        tensors: how many tensors of the model it changes.
    """

    name: str
    rank: int
    tensors: int


@dataclass(frozen=True)
class ModelFacts:
    """A model.

    Attributes:
        name: as it was asked for.
        folder: where it lies.
        family: what people call its architecture.
        architecture: what its config.json calls it.
        contents: its tensors, as they are on disk.
        adapter: what is applied to it.
        quantised: how, such as ``gptq``: such a model cannot be merged. None if it is not.
    """

    name: str
    folder: Path
    family: str
    architecture: str
    contents: Contents
    adapter: AdapterFacts | None
    quantised: str | None


@dataclass(frozen=True)
class Unreadable:
    """A model that cannot be opened.

    Attributes:
        name: as it was asked for.
        reason: the message that a merge would end with.
    """

    name: str
    reason: str


def inspect_model(reference: ModelReference) -> ModelFacts:
    """What is in a model, with its adapter if it has one.

    Raises:
        CheckpointError: it cannot be found or read, or its layers cannot be told apart.
        AdapterError: the adapter cannot be applied to it.
    """
    if reference.adapter is not None:
        return facts_of(reference, open_source(reference))
    return facts_of(reference, open_checkpoint(reference.path, reference.revision))


def facts_of(reference: ModelReference, source: Source) -> ModelFacts:
    """What is in an opened model.

    Raises:
        CheckpointError: its layers cannot be told apart.
    """
    family = family_of(source.config, source.names(), source.label)
    model = as_model(0, source, family)
    infos = [source.info(name) for name in source.names()]
    adapter = None
    if isinstance(source, Adapted) and reference.adapter is not None:
        adapter = AdapterFacts(reference.adapter, source.settings.rank, len(source.changed()))
    return ModelFacts(
        str(reference),
        source.folder,
        family.name,
        architecture_of(source.config, source.label),
        contents_of(family, model.layers, infos, tied=model.head is None),
        adapter,
        quantisation_of(source.config),
    )
