"""Writes what a fine-tune changed as an adapter of its base."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from evomerge.adapters.contents import Contents, Filling
from evomerge.adapters.extraction import Pair, pair_up
from evomerge.adapters.folder import AdapterWriter
from evomerge.checkpoint.card import write_extraction_card
from evomerge.checkpoint.reader import Checkpoint, open_checkpoint
from evomerge.dtypes import FLOAT32
from evomerge.errors import RecipeError
from evomerge.recipe import ModelReference


@dataclass(frozen=True)
class Extraction:
    """An adapter that was taken out of a model.

    Attributes:
        folder: where it is.
        kept: by module, the share of the squared norm of its change that is in it, in [0, 1].
        left_out: the names of tensors that changed, and are not in it.
        nbytes: of its weights.
    """

    folder: Path
    kept: Mapping[str, float]
    left_out: tuple[str, ...]
    nbytes: int


def extract_lora(
    model: str | PathLike[str],
    base: str | PathLike[str],
    out: str | PathLike[str],
    *,
    rank: int = 16,
    force: bool = False,
    progress: Callable[[float], None] | None = None,
) -> Extraction:
    """Writes the low-rank part of what a fine-tune changed, as an adapter that PEFT loads.

    Of each matrix of the layers the leading singular directions are kept. Embeddings, the head,
    norms and biases are not in the adapter.

    Args:
        model: the fine-tuned one: a folder or an id.
        base: what it was made from.
        out: the folder to write; it exists afterwards whole or not at all.
        rank: of every matrix that has as much.
        force: replace what stands there.
        progress: called with the share of the matrices that was done since.

    Returns:
        The folder, and what it holds.

    Raises:
        EvomergeError: the models cannot be read or do not belong together, or the rank is none.
    """
    place, tuned, origin = Path(out), _checked(model), _checked(base)
    with _opened(tuned) as after, _opened(origin) as before:
        pair = pair_up(after, before, rank)
        contents = Contents(pair.slots, (), str(base), "CAUSAL_LM", pair.transposed, FLOAT32)
        writer = AdapterWriter(place, contents, force=force)
        kept: dict[str, float] = {}
        writer.write(
            _fillings(pair, kept, progress),
            lambda folder: write_extraction_card(folder, tuned, origin, rank, place.resolve().name),
        )
    return Extraction(place, kept, tuple(pair.left_out), writer.nbytes)


def _fillings(
    pair: Pair, kept: dict[str, float], progress: Callable[[float], None] | None
) -> Iterator[Filling]:
    for slot, found in zip(pair.slots, pair.extracted(), strict=True):
        kept[slot.matrix.name.removesuffix(".weight")] = found.kept
        if progress is not None:
            progress(1 / len(pair.slots))
        yield Filling(found.update)


def _checked(model: str | PathLike[str]) -> ModelReference:
    """The model of a folder or an id.

    Raises:
        RecipeError: there is an adapter on it.
    """
    reference = ModelReference.of(model)
    if reference.adapter is not None:
        raise RecipeError(f"{model}: a model with an adapter; merge it first: evomerge merge")
    return reference


def _opened(reference: ModelReference) -> Checkpoint:
    return open_checkpoint(reference.path, reference.revision)
