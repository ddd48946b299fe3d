"""The picture of a stack that a run found."""

from __future__ import annotations

from pathlib import Path

from evomerge.errors import StudyError
from evomerge.evidence import best_or_none
from evomerge.inspection.grid import check_drawing
from evomerge.inspection.stack_picture import StackPicture
from evomerge.recipe.adapters import recipe_in
from evomerge.report.stack_lines import short_names
from evomerge.stacks import stack_in
from evomerge.study import Study
from evomerge.trial import Trial


def draw_stack(study: Study, number: int | None, file: Path) -> None:
    """Draws the stack of a trial, or of the best one, into a PNG.

    Raises:
        StudyError: there is no such trial, or it is no stack.
        OutputError: the file is no PNG by its name, or cannot be written.
        MissingExtra: Pillow is not installed.
    """
    check_drawing(file, "report")
    trial = _best(study) if number is None else study.find(number)
    found = stack_in(trial.recipe)
    if found is None:
        raise StudyError(
            f"{study.run}: trial {trial.number} merges by "
            f"{recipe_in(trial.recipe).method_title()}; only a stack is drawn: layers in "
            "slices, with merge_method: passthrough"
        )
    stack, anchor = found
    names = short_names([anchor, *(hop.model for hop in stack)])
    StackPicture(stack, anchor, names).draw(file)


def _best(study: Study) -> Trial:
    best = best_or_none(study)
    if best is None:
        raise StudyError(
            f"{study.run}: no trial has all scores and meets all constraints; name the one to draw "
            "with --trial"
        )
    return best
