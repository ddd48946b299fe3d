"""``evomerge zoo``: trains a small family of models to try things on."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from evomerge.cli.progress import stage_bar
from evomerge.cli.tables import table

if TYPE_CHECKING:
    from evomerge.zoo import Zoo


def zoo(
    folder: Annotated[
        Path, Argument(metavar="DIR", help="A new folder, or a zoo.", show_default=False)
    ],
    seed: Annotated[int, Option(help="Another seed, another family.")] = 0,
) -> None:
    """Trains a small family of language models, of one base, to try merges on.

    It takes a minute or two, once: what is there already is not made again.
    """
    from evomerge.zoo import build

    with stage_bar("training") as show:
        made = build(folder, seed=seed, progress=show)
    sys.stdout.write(table(("folder", "what it is"), _members(made)))


def _members(made: Zoo) -> Iterator[tuple[str, str]]:
    """What a reader who has just built it wants to know."""
    yield str(made.base), "the base: knows each skill in part"
    for skill, folder in made.experts.items():
        yield str(folder), f"an expert: the base, trained on {skill}"
    for skill, folder in made.adapters.items():
        yield str(folder), f"a LoRA adapter of the base, trained on {skill}"
    yield str(made.sibling), "taught like the base, from other initial weights"
    yield str(made.deeper), "a model with more layers"
    yield str(made.other_vocabulary), "a model with other tokens"
    yield str(made.folder / "data"), "questions and answers, to search with and held out"
