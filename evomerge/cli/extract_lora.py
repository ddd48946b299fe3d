"""``evomerge extract-lora``: what a fine-tune changed, as a LoRA adapter of its base."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from evomerge.adapters import extracting
from evomerge.adapters.extracting import Extraction
from evomerge.cli.progress import progress_bar
from evomerge.cli.quantities import in_words
from evomerge.cli.tables import table

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
    with progress_bar(f"extracting rank {rank}", 1) as progress:
        found = extracting.extract_lora(model, base, out, rank=rank, force=force, progress=progress)
    sys.stdout.write(_shown(found))
    size = in_words(found.nbytes)
    sys.stdout.write(f"{out}: {len(found.kept)} matrices, rank {rank}, {size}\n")


def _shown(found: Extraction) -> str:
    """A line for each module, and what is not in the adapter."""
    rows = [(module, f"{share:.2%}") for module, share in found.kept.items()]
    text = table(("module", "kept"), rows, numbers={"kept"})
    if not found.left_out:
        return text
    listed = ", ".join(found.left_out[:_LISTED])
    more = f" and {len(found.left_out) - _LISTED} more" * (len(found.left_out) > _LISTED)
    return f"{text}changed, and not in the adapter: {listed}{more}\n"
