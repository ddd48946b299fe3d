"""``evomerge export``: recipes of a run as YAML that mergekit reads."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from evomerge.chain.folder import Chain, is_chain
from evomerge.chain.steps import all_in_one, legs, one_by_one, remarks
from evomerge.errors import OutputError
from evomerge.evidence import evidence_of
from evomerge.export import (
    Choice,
    Exported,
    check_file,
    check_folder,
    chosen,
    folder_of,
    write_file,
    write_folder,
)
from evomerge.export import export as exported
from evomerge.export.multi import obstacle
from evomerge.recipe import AnyRecipe
from evomerge.recipe.adapters import AdapterRecipe
from evomerge.report.words import counted
from evomerge.study import Study


def export(  # noqa: PLR0913, PLR0917  the signature is the command line
    run: Annotated[Path, Argument(help="A run folder.", show_default=False)],
    out: Annotated[
        Path, Argument(help="The file to write; with --front, a folder.", show_default=False)
    ],
    best: Annotated[bool, Option("--best", help="The best trial. The default.")] = False,
    simplified: Annotated[bool, Option("--simplified", help="The best trial, simplified.")] = False,
    trial: Annotated[int | None, Option(help="The trial of this number.", metavar="N")] = None,
    front: Annotated[bool, Option("--front", help="Every trial of the front.")] = False,
    model: Annotated[
        Path | None, Option(help="Also merge it into this folder.", metavar="DIR")
    ] = None,
    multi: Annotated[
        Path | None,
        Option(help="Also write it in steps, for mergekit-multi.", metavar="FILE"),
    ] = None,
    force: Annotated[bool, Option("--force", help="Replace what stands there.")] = False,
) -> None:
    """Writes a recipe of a run as YAML that mergekit reads, below a comment that says what it is.

    What mergekit does not know is listed in that comment and in a warning. A chain leaves as one
    file of all its recipes, for mergekit-multi or 'evomerge merge', and beside it one for each.
    """
    if sum((best, simplified, trial is not None, front)) > 1:
        raise OutputError("export: give one of --best, --simplified, --trial and --front")
    for option, one in (("--model writes one model", model), ("--multi writes one recipe", multi)):
        if front and one is not None:
            raise OutputError(f"export: {option}; choose a trial of the front")
    if is_chain(run) and not front and multi is None:
        _chain(run, out, Choice(trial, simplified), model, force=force)
        return
    (check_folder if front else check_file)(out, force=force)
    study = Study.open(run)
    trials = chosen(study, Choice(trial, simplified, front))
    evidence = evidence_of(study)
    leaving = [exported(study, each, evidence) for each in trials]
    if front:
        write_folder(out, folder_of(study, leaving), force=force)
    else:
        steps = None if multi is None else _steps(leaving[0], multi, force=force)
        if model is not None:
            _merge(leaving[0].recipe, model, force=force)
        if multi is not None and steps is not None:
            write_file(multi, steps, force=force)
        write_file(out, leaving[0].text, force=force)
    _tell(leaving, out, model, multi)


def _chain(run: Path, out: Path, choice: Choice, model: Path | None, *, force: bool) -> None:
    """Writes the way to the model of a chain's last stage."""
    chain = Chain.open(run)
    found = legs(chain, choice)
    files = {out: all_in_one(chain, found), **one_by_one(found, out)}
    for place in files:
        check_file(place, force=force)
    if model is not None:
        _merge(found[-1].leaving.recipe, model, force=force)
    for place, text in files.items():
        write_file(place, text, force=force)
    for remark in remarks(found):
        sys.stderr.write(f"warning: {remark}\n")
    sys.stdout.write(f"{out}: {counted(len(found), 'recipe')} of a chain\n")
    for place, leg in zip(list(files)[1:], found, strict=True):
        sys.stdout.write(f"{place}: stage {leg.name}, trial {leg.leaving.trial.number}\n")
    if model is not None:
        sys.stdout.write(f"{model}: the model\n")


def _steps(leaving: Exported, out: Path, *, force: bool) -> str:
    """The content of a file for mergekit-multi, if it may be written."""
    check_file(out, force=force)
    if leaving.multi is not None:
        return leaving.multi
    recipe = leaving.recipe
    if isinstance(recipe, AdapterRecipe):
        raise OutputError(f"{out}: the recipe merges adapters, which mergekit cannot; leave it out")
    if len(recipe.method_names()) == 1:
        raise OutputError(f"{out}: the recipe has one method; mergekit-yaml follows it as it is")
    raise OutputError(f"{out}: no file for mergekit-multi makes this model: {obstacle(recipe)}")


def _merge(recipe: AnyRecipe, out: Path, *, force: bool) -> None:
    from evomerge.cli.merging import Writing, write

    write(recipe, out, Writing(force=force))


def _tell(leaving: list[Exported], out: Path, model: Path | None, multi: Path | None) -> None:
    for remark in dict.fromkeys(remark for each in leaving for remark in each.remarks):
        sys.stderr.write(f"warning: {remark}\n")
    numbers = ", ".join(str(each.trial.number) for each in leaving)
    what = f"trial {numbers}" if len(leaving) == 1 else f"trials {numbers}"
    sys.stdout.write(f"{out}: {what} of {leaving[0].recipe.method_title()}\n")
    if model is not None:
        sys.stdout.write(f"{model}: the {_made(leaving[0].recipe)}\n")
    if multi is not None:
        sys.stdout.write(f"{multi}: the same in steps, for mergekit-multi\n")


def _made(recipe: AnyRecipe) -> str:
    """What comes of a recipe."""
    return recipe.output if isinstance(recipe, AdapterRecipe) else "model"
