"""``evomerge align``: brings models to another one, or to each other, along their symmetries."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from evomerge.cli.progress import progress_bar
from evomerge.cli.tables import table
from evomerge.errors import AlignmentError

if TYPE_CHECKING:
    from evomerge.aligners.base import Alignment, Settings
    from evomerge.checkpoint.reader import Checkpoint

METHODS = (
    "activation_matching, canonical, optimal_transport, procrustes, sinkhorn, weight_matching, "
    "zipper"
)
COLUMNS = ("group", "before", "after", "moved", "of")


def align(  # noqa: PLR0913, PLR0917  the signature is the command line
    models: Annotated[
        list[str],
        Argument(
            help="The model to be moved; several with --together. Folders or Hugging Face ids.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, Argument(help="The folder to write.", show_default=False)],
    to: Annotated[
        str | None,
        Option(metavar="ANCHOR", help="The model that it is brought to.", show_default=False),
    ] = None,
    together: Annotated[
        bool,
        Option(
            "--together",
            help="Bring each model to the mean of the others, and write them all, below OUT.",
        ),
    ] = False,
    method: Annotated[
        str, Option(help=f"How what belongs together is found: {METHODS}.")
    ] = "weight_matching",
    options: Annotated[
        list[str] | None,
        Option("--set", metavar="KEY=VALUE", help="An option of the method.", show_default=False),
    ] = None,
    data: Annotated[
        str | None,
        Option(
            metavar="FILE",
            help="The text that the models are shown, for methods that do so.",
            show_default="what comes with Python",
        ),
    ] = None,
    groups: Annotated[
        str, Option(help="What may be moved, separated by commas.")
    ] = "residual,neurons,heads,keys,values",
    seed: Annotated[int, Option(help="Of all that is drawn.")] = 0,
    force: Annotated[bool, Option("--force", help="Replace a model that stands there.")] = False,
) -> None:
    """Writes a model that computes the same, with its units where another model has them.

    For models that did not grow from one base, or that drifted along their symmetries: merge them
    after one has been brought to the other, or all to each other. They are of one family and size.
    Prints how near the weights are before and after, and how much the logits changed, which is
    rounding, or nothing is written.
    """
    from evomerge.checkpoint.reader import open_checkpoint
    from evomerge.cli.align_asked import check_way, settings_of
    from evomerge.cli.scoring import hush_libraries

    hush_libraries()
    settings = settings_of(method, options or [], data, groups, seed)
    check_way(len(models), to, together, settings)
    with ExitStack() as stack:
        names = models if to is None else [*models, to]
        opened = [stack.enter_context(open_checkpoint(name)) for name in names]
        work = _together if to is None else _to_anchor
        work(opened, out, settings, force)


def _to_anchor(models: Sequence[Checkpoint], out: Path, settings: Settings, force: bool) -> None:
    """Brings the first of two models to the other."""
    from evomerge.aligners.kept import alignment_of
    from evomerge.alignment.writing import check_place

    moving, anchor = models
    check_place(moving, anchor, out, force=force)
    _write(moving, alignment_of(moving, anchor, settings).alignment, out, force)


def _together(models: Sequence[Checkpoint], out: Path, settings: Settings, force: bool) -> None:
    """Brings models to each other; below ``out`` each is called what it is called now."""
    from evomerge.aligners.together import align_sources_together
    from evomerge.alignment.writing import check_place

    names = [Path(model.label).name for model in models]
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise AlignmentError(f"{out}: two models are called {twice}; rename a folder of them")
    for model, name in zip(models, names, strict=True):
        for other in models:
            check_place(model, other, out / name, force=force)
    found = align_sources_together(models, settings.groups, seed=settings.seed)
    for model, name, alignment in zip(models, names, found, strict=True):
        sys.stdout.write("\n" * (model is not models[0]))
        _write(model, alignment, out / name, force)


def _write(model: Checkpoint, found: Alignment, out: Path, force: bool) -> None:
    """Writes a model after it was moved, and says what that gained."""
    from evomerge.alignment.writing import write_moved

    elements = sum(model.info(name).size for name in model.names())
    with progress_bar(f"writing {out.name}", elements) as advance:
        change = write_moved(model, found.element, out, force=force, progress=advance)
    sys.stdout.write(_told(found, out, change))


def _told(found: Alignment, out: Path, change: float) -> str:
    from evomerge.alignment.elements import is_symmetry

    rows = [
        (fit.group, f"{fit.before:.4f}", f"{fit.after:.4f}", str(fit.moved), str(fit.units))
        for fit in found.fits
    ]
    text = table(COLUMNS, rows, numbers=COLUMNS[1:])
    if found.siblings:
        text += "\nThe models stand alike already, as those do that grew from one base.\n"
    what = "computes the same" if is_symmetry(found.element) else "computes something else: mixed"
    return text + f"\n{out}: {what}; its logits changed by a share of {change:.1g}\n"
