"""``evomerge stack parallel``: what a model scores while layers of it run side by side."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from evomerge.cli.evaluate import as_json, as_text, scores_of
from evomerge.cli.scoring import evaluators_for, hush_libraries, lm_eval_keys, status_line
from evomerge.cli.stack_recipe import layers_from
from evomerge.cli.tables import Form

if TYPE_CHECKING:
    from evomerge.evaluators.base import LoadedModel

Model = Annotated[
    str, Argument(metavar="MODEL", help="A model folder or a Hugging Face id.", show_default=False)
]
Layers = Annotated[
    str,
    Option(
        metavar="FIRST:END",
        help="Which layers, counted from 0, END excluded: 8:24.",
        show_default=False,
    ),
]

NO_RECIPE = (
    "a model runs so in this process only: no checkpoint can say it, so it cannot be exported"
)


def parallel(  # noqa: PLR0913, PLR0917  the signature is the command line
    model: Model,
    layers: Layers,
    loops: Annotated[int, Option(help="How often the stream goes through them.")] = 1,
    tasks: Annotated[
        str, Option(help="Tasks or groups of lm-eval or of --include-path, separated by commas.")
    ] = "",
    include_path: Annotated[
        list[Path] | None, Option(help="A folder with further task files. May be repeated.")
    ] = None,
    limit: Annotated[
        float | None, Option(help="Only so many documents of each task; below 1, that share.")
    ] = None,
    evaluator: Annotated[
        list[str] | None,
        Option(metavar="FILE.PY:FUNCTION", help="A scoring function. May be repeated."),
    ] = None,
    perplexity: Annotated[
        list[Path] | None,
        Option(metavar="FILE", help="Bits per byte of a text or JSONL file. May be repeated."),
    ] = None,
    device: Annotated[str, Option(help="auto, cpu, cuda, …")] = "auto",
    dtype: Annotated[
        str, Option(help="auto (what the folder holds), bfloat16, float32, …")
    ] = "auto",
    form: Annotated[Form, Option(help="What to write on standard output.")] = Form.text,
) -> None:
    """Scores a model as it is, and with some of its layers side by side.

    They all read the same stream, and the mean of what they hand on is what follows reads; with
    --loops, it goes through them again. No recipe says this: it is for looking, not for export.
    """
    lm_eval = lm_eval_keys(tasks, include_path, limit)
    evaluators = evaluators_for("stack parallel", lm_eval, evaluator or [], perplexity or [])
    hush_libraries()
    from evomerge.evaluators.loading import load_model
    from evomerge.inspection.parallel import side_by_side

    with status_line() as show:
        show(model)
        loaded = load_model(model, device=device, dtype=dtype)
        middle = layers_from(layers, _depth(loaded), model)
        found = {model: scores_of(loaded, evaluators, show)}
        with side_by_side(loaded, middle, loops) as changed:
            found[changed.label] = scores_of(changed, evaluators, show)
    sys.stdout.write(as_json(found) if form is Form.json else as_text(found))
    sys.stderr.write(f"{changed.label}: {NO_RECIPE}\n")


def _depth(loaded: LoadedModel) -> int:
    return int(loaded.model.config.get_text_config().num_hidden_layers)
