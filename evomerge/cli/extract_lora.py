"""``evomerge extract-lora``: what a fine-tune changed, as a LoRA adapter of its base."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from evomerge.adapters.contents import Contents, Filling
from evomerge.adapters.extraction import Pair, pair_up
from evomerge.adapters.folder import AdapterWriter
from evomerge.checkpoint.card import write_extraction_card
from evomerge.checkpoint.reader import Checkpoint, open_checkpoint
from evomerge.cli.progress import progress_bar
from evomerge.cli.quantities import in_words
from evomerge.cli.tables import table
from evomerge.dtypes import FLOAT32
from evomerge.errors import RecipeError
from evomerge.recipe import ModelReference

_LISTED = 5  # names in a line


def extract_lora(
    model: Annotated[str, Argument(help="The fine-tuned model.", show_default=False)],
    out: Annotated[Path, Argument(help="The folder to write.", show_default=False)],
    base: Annotated[str, Option(help="What it was made from.", show_default=False)],
    rank: Annotated[int, Option(help="Of every matrix that has as much.")] = 16,
    force: Annotated[bool, Option("--force", help="Replace what stands there.")] = False,
) -> None:
    """Writes the low-rank part of what a fine-tune changed, as an adapter that PEFT loads.

    Of each matrix of the layers, the leading singular directions of MODEL minus BASE are kept; the
    share of the squared norm that they hold is printed. Embeddings, the head, norms and biases are
    not in the adapter.
    """
    with _opened(model) as tuned, _opened(base) as origin:
        pair = pair_up(tuned, origin, rank)
        contents = Contents(pair.slots, (), base, "CAUSAL_LM", pair.transposed, FLOAT32)
        writer = AdapterWriter(out, contents, force=force)
        kept: list[float] = []
        with progress_bar(f"extracting rank {rank}", len(pair.slots)) as advance:
            writer.write(
                _updates(pair, kept, advance),
                lambda folder: write_extraction_card(folder, model, base, rank, out.resolve().name),
            )
    sys.stdout.write(_shown(pair, kept))
    sys.stdout.write(f"{out}: {len(kept)} matrices, rank {rank}, {in_words(writer.nbytes)}\n")


def _updates(
    pair: Pair, kept: list[float], advance: Callable[[float], None] | None
) -> Iterator[Filling]:
    for found in pair.extracted():
        kept.append(found.kept)
        if advance is not None:
            advance(1)
        yield Filling(found.update)


def _opened(text: str) -> Checkpoint:
    """The model that ``path[@revision]`` names.

    Raises:
        RecipeError: there is an adapter on it.
    """
    reference = ModelReference.parse(text)
    if reference.adapter is not None:
        raise RecipeError(f"{text}: a model with an adapter; merge it first: evomerge merge")
    return open_checkpoint(reference.path, reference.revision)


def _shown(pair: Pair, kept: list[float]) -> str:
    """A line for each module, and what is not in the adapter."""
    rows = [
        (slot.matrix.name.removesuffix(".weight"), f"{share:.2%}")
        for slot, share in zip(pair.slots, kept, strict=True)
    ]
    text = table(("module", "kept"), rows, numbers={"kept"})
    if not pair.left_out:
        return text
    listed = ", ".join(pair.left_out[:_LISTED])
    more = f" and {len(pair.left_out) - _LISTED} more" * (len(pair.left_out) > _LISTED)
    return f"{text}changed, and not in the adapter: {listed}{more}\n"
