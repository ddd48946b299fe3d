"""What the verbs that score models share: evaluators, and a line that says how far they are."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from evomerge.errors import EvaluationError

if TYPE_CHECKING:
    from evomerge.evaluators.base import Evaluator


def lm_eval_keys(
    tasks: str, include_path: Sequence[Path] | None, limit: float | None
) -> dict[str, object]:
    """The keys of the evaluator ``lm_eval`` that a command line gives."""
    return {
        "task": [task.strip() for task in tasks.split(",") if task.strip()],
        "include_path": [str(path) for path in include_path or []],
        "limit": limit,
    }


def evaluators_for(
    verb: str, lm_eval: Mapping[str, object], functions: Sequence[str], texts: Sequence[Path]
) -> list[Evaluator]:
    """The evaluators that a command line names.

    Args:
        verb: what messages begin with.
        lm_eval: the keys of that evaluator, of which ``task`` has to hold something for it to be
            made; None and empty lists are keys that were not given.
        functions: ``FILE.PY:FUNCTION`` each.
        texts: files, scored by their bits per byte.

    Raises:
        EvaluationError: it names none.
        RecipeError: a value is not one that the evaluator takes.
        MissingExtra: the package that an evaluator needs is not installed.
    """
    from evomerge.evaluators.base import make_evaluator

    wanted: list[dict[str, object]] = []
    if lm_eval["task"]:
        given = {key: value for key, value in lm_eval.items() if value not in (None, [])}
        wanted.append({"name": "lm_eval", **given})
    wanted += [{"name": "python", "function": function} for function in functions]
    wanted += [{"name": "perplexity", "file": text} for text in texts]
    if not wanted:
        raise EvaluationError(
            f"{verb}: nothing to score by; give --tasks, --evaluator or --perplexity"
        )
    return [make_evaluator(settings, verb) for settings in wanted]


def hush_libraries() -> None:
    """Their bars and remarks would stand between the user and the table."""
    from transformers.utils import logging as transformers_logging

    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()


@contextmanager
def status_line() -> Iterator[Callable[[str], None]]:
    """Shows a line on standard error while work goes on, if that is a terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _line: None
        return
    with console.status("") as status:
        yield lambda line: status.update(escape(line))
