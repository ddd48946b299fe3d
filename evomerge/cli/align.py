"""``evomerge align``: brings a model to another along its symmetries."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from evomerge.cli.progress import progress_bar
from evomerge.cli.tables import table
from evomerge.errors import AlignmentError

if TYPE_CHECKING:
    from evomerge.aligners.base import Alignment

COLUMNS = ("group", "before", "after", "moved", "of")


def align(  # noqa: PLR0913, PLR0917  the signature is the command line
    source: Annotated[str, Argument(help="The model to be moved: a folder or a Hugging Face id.")],
    out: Annotated[Path, Argument(help="The folder to write.", show_default=False)],
    to: Annotated[
        str, Option(metavar="ANCHOR", help="The model that it is brought to.", show_default=False)
    ],
    method: Annotated[str, Option(help="How what belongs together is found.")] = "weight_matching",
    groups: Annotated[
        str, Option(help="What may be moved, separated by commas.")
    ] = "residual,neurons,heads,keys,values",
    seed: Annotated[int, Option(help="Of the order in which groups are visited.")] = 0,
    force: Annotated[bool, Option("--force", help="Replace a model that stands there.")] = False,
) -> None:
    """Writes a model that computes the same, with its units where another model has them.

    For models that did not grow from one base, or that drifted along their symmetries: merge them
    after one has been brought to the other. Both are of one family and size. Prints how near the
    weights are before and after, and how much the logits changed, which is rounding, or nothing is
    written.
    """
    from evomerge.aligners.base import Settings
    from evomerge.aligners.kept import alignment_of
    from evomerge.alignment.writing import check_place, write_moved
    from evomerge.checkpoint.reader import open_checkpoint
    from evomerge.cli.scoring import hush_libraries

    hush_libraries()
    try:
        settings = Settings(method, [each.strip() for each in groups.split(",") if each], seed)
    except AlignmentError as error:
        raise AlignmentError(f"--{error}") from error
    with open_checkpoint(source) as moving, open_checkpoint(to) as anchor:
        check_place(moving, anchor, out, force=force)
        found = alignment_of(moving, anchor, settings).alignment
        elements = sum(moving.info(name).size for name in moving.names())
        with progress_bar(f"writing {out.name}", elements) as advance:
            change = write_moved(moving, found.element, out, force=force, progress=advance)
    sys.stdout.write(_told(found, out, change))


def _told(found: Alignment, out: Path, change: float) -> str:
    rows = [
        (fit.group, f"{fit.before:.4f}", f"{fit.after:.4f}", str(fit.moved), str(fit.units))
        for fit in found.fits
    ]
    text = table(COLUMNS, rows, numbers=COLUMNS[1:])
    if found.siblings:
        text += "\nThe models stand alike already, as those do that grew from one base.\n"
    return text + f"\n{out}: computes the same; its logits changed by a share of {change:.1g}\n"
