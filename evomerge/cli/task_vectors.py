"""``evomerge task-vectors``: how far models have moved from their base, and how far together."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from evomerge.cli.progress import progress_bar
from evomerge.cli.stack_recipe import reference_of
from evomerge.cli.tables import Form
from evomerge.cli.task_vectors_shown import shown
from evomerge.inspection.grid import check_drawing, draw
from evomerge.inspection.task_vectors import Division, Part, TaskVectors, measure, plan_reading


class By(str, Enum):
    """What the parts of a model are."""

    layer = "layer"
    kind = "kind"
    tensor = "tensor"


def task_vectors(
    base: Annotated[str, Argument(help="What the models were made from.", show_default=False)],
    models: Annotated[
        list[str],
        Argument(
            metavar="MODEL...", help="Fine-tuned models, or BASE+ADAPTER.", show_default=False
        ),
    ],
    by: Annotated[By, Option(help="What the models are divided into.")] = By.layer,
    picture: Annotated[Path | None, Option(metavar="PNG", help="Draw it here, too.")] = None,
    form: Annotated[Form, Option(help="What to write on standard output.")] = Form.text,
) -> None:
    """Shows how far models have moved from their base, and how much in the same direction.

    A task vector is a model minus its base. Their lengths and the cosines between them are shown,
    of the whole models and part by part. Weights are read in blocks, so memory does not grow with
    the models.
    """
    if picture is not None:
        check_drawing(picture, "task-vectors")
    plan = plan_reading(reference_of(base), [reference_of(model) for model in models])
    with progress_bar("reading", sum(tensor.info.size for tensor in plan.tensors)) as advance:
        found = measure(plan, by.value, advance)
    tables = shown(found, by.value)
    if picture is not None:
        draw([each.figure for each in tables], picture)
    text = "\n".join(each.text for each in tables)
    sys.stdout.write(_json(found, by.value) if form is Form.json else text)


def _json(found: TaskVectors, by: Division) -> str:
    fields = {
        "base": found.base,
        "models": found.models,
        "by": by,
        "whole": _fields(found.whole),
        "parts": [_fields(part) for part in found.parts],
    }
    return json.dumps(fields, indent=2) + "\n"


def _fields(part: Part) -> Mapping[str, object]:
    return {
        "name": part.name,
        "parameters": part.parameters,
        "base_norm": part.base**0.5,
        "norms": part.norms,
        "relative": part.relative,
        "cosines": part.cosines,
    }
