"""``evomerge evaluate``: scores models, side by side."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from typer import Argument, Option

from evomerge.cli.scoring import evaluators_for, hush_libraries, lm_eval_keys, status_line
from evomerge.cli.tables import Form

if TYPE_CHECKING:
    from evomerge.evaluators.base import Evaluator, LoadedModel
    from evomerge.evaluators.scores import Measure

HEADINGS = ("task", "metric", "better", "items")
PIPE_WIDTH = 1000  # columns of a table that nobody's terminal has to hold


def evaluate(  # noqa: PLR0913, PLR0917  the signature is the command line
    models: Annotated[
        list[str], Argument(metavar="MODEL...", help="Model folders, or Hugging Face ids.")
    ],
    tasks: Annotated[
        str, Option(help="Tasks or groups of lm-eval or of --include-path, separated by commas.")
    ] = "",
    include_path: Annotated[
        list[Path] | None, Option(help="A folder with further task files. May be repeated.")
    ] = None,
    limit: Annotated[
        float | None, Option(help="Only so many documents of each task; below 1, that share.")
    ] = None,
    num_fewshot: Annotated[
        int | None, Option(help="Examples in each prompt, where the task does not fix 0.")
    ] = None,
    apply_chat_template: Annotated[
        bool, Option("--apply-chat-template", help="Write prompts as conversations.")
    ] = False,
    batch_size: Annotated[str | None, Option(help="Requests in one forward pass, or auto.")] = None,
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
    trust_remote_code: Annotated[
        bool, Option("--trust-remote-code", help="Run the Python code that comes with a model.")
    ] = False,
    form: Annotated[Form, Option(help="What to write on standard output.")] = Form.text,
) -> None:
    """Scores models on tasks, on a text, or by a function of your own, side by side.

    At least one of --tasks, --evaluator and --perplexity says what to score.
    """
    lm_eval = {
        **lm_eval_keys(tasks, include_path, limit),
        "num_fewshot": num_fewshot,
        "apply_chat_template": apply_chat_template,
        "batch_size": batch_size,
    }
    evaluators = evaluators_for("evaluate", lm_eval, evaluator or [], perplexity or [])
    hush_libraries()
    loaded = partial(_load, device=device, dtype=dtype, trust_remote_code=trust_remote_code)
    found = {}
    with status_line() as show:
        for number, model in enumerate(models, 1):
            show(f"{number}/{len(models)}  {model}")
            found[model] = scores_of(loaded(model), evaluators, show)
    sys.stdout.write(as_json(found) if form is Form.json else as_text(found))


def _load(model: str, *, device: str, dtype: str, trust_remote_code: bool) -> LoadedModel:
    from evomerge.evaluators.loading import load_model

    return load_model(model, device=device, dtype=dtype, trust_remote_code=trust_remote_code)


def scores_of(
    model: LoadedModel, evaluators: Sequence[Evaluator], show: Callable[[str], None]
) -> list[Measure]:
    """Everything that a model is scored by; ``show`` is told how far it is."""
    batches = count(1)

    def tick() -> None:
        show(f"{model.label}  batch {next(batches)}")

    return [
        measure
        for evaluator in evaluators
        for measure in evaluator.evaluate(model, tick=tick).measures
    ]


def as_json(found: Mapping[str, Sequence[Measure]]) -> str:
    """One object a model, in the order asked for."""
    models = [
        {
            "model": model,
            "scores": [
                {
                    "task": one.task,
                    "metric": one.metric,
                    "filter": one.filter,
                    "value": one.value,
                    "higher_is_better": one.higher_is_better,
                    "items": one.size,
                }
                for one in measures
            ],
        }
        for model, measures in found.items()
    ]
    return json.dumps({"models": models}, indent=2) + "\n"


def as_text(found: Mapping[str, Sequence[Measure]]) -> str:
    """A row for each metric, a column for each model. In a terminal the best one is bold."""
    console = Console(width=None if sys.stdout.isatty() else PIPE_WIDTH)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in HEADINGS:
        table.add_column(heading)
    for model in _short(list(found)):
        table.add_column(model, justify="right", overflow="fold")
    for rows in _rows(found):
        table.add_row(*rows)
    with console.capture() as text:
        console.print(table)
    return text.get()


def _rows(found: Mapping[str, Sequence[Measure]]) -> Iterator[list[str]]:
    by_model = [
        {(one.task, one.metric, one.filter): one for one in measures} for measures in found.values()
    ]
    for key in dict.fromkeys(key for measures in by_model for key in measures):
        present = [measures[key] for measures in by_model if key in measures]
        first = present[0]
        best = (max if first.higher_is_better else min)(one.value for one in present)
        cells = [
            "" if one is None else _cell(one.value, is_best=one.value == best and len(found) > 1)
            for one in (measures.get(key) for measures in by_model)
        ]
        metric = first.metric if first.filter == "none" else f"{first.metric} ({first.filter})"
        better = "higher" if first.higher_is_better else "lower"
        yield [escape(first.task), escape(metric), better, str(first.size), *cells]


def _cell(value: float, *, is_best: bool) -> str:
    return f"[bold]{value:.4f}[/bold]" if is_best else f"{value:.4f}"


def _short(models: Sequence[str]) -> list[str]:
    """The last parts of the models' paths, where those tell them apart."""
    names = [Path(model).name for model in models]
    return [escape(name) for name in (names if len(set(names)) == len(names) else models)]
