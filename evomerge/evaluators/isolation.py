"""An evaluation in a process of its own: a crash there, or a loop without end, stays there.

The process loads the model from its folder, evaluates, and answers with plain JSON. What it is
asked and what it answers are the two records here; `child` is the program.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from evomerge.errors import DeadlineExceeded, EvaluationError, OutOfMemory
from evomerge.evaluators.processes import Ended, Program, run
from evomerge.evaluators.scores import Scores, scores_from_plain

CHILD = "evomerge.evaluators.child"

# Errors that keep their kind on the way back; others come back as an `EvaluationError`.
KINDS = {kind.__name__: kind for kind in (DeadlineExceeded, OutOfMemory)}


@dataclass(frozen=True)
class Request:
    """What the child is asked.

    Attributes:
        settings: those of the evaluator, with its name.
        folder: of the model.
        label: what messages call the model.
        device: where to put it.
        dtype: what type to give it.
        own_code: whether the model comes with code that has already been run here.
        items: the documents to score, or None for all.
    """

    settings: Mapping[str, Any]
    folder: str
    label: str
    device: str
    dtype: str
    own_code: bool
    items: Any


def score_in_child(request: Request, tick: Callable[[], None]) -> Scores:
    """The child's scores. The child ends with all its processes if ``tick`` raises.

    Raises:
        OutOfMemory: the child had too little memory, or the system ended it for that.
        EvaluationError: the child found an error, or crashed.
    """
    message = json.dumps(asdict(request)).encode() + b"\n"
    ended = run(Program([sys.executable, "-m", CHILD], message=message), tick)
    if ended.status:
        raise _crash(f"{request.label}: evaluator '{request.settings['name']}'", ended)
    answer = json.loads(ended.output)
    if "error" in answer:
        raise KINDS.get(answer["kind"], EvaluationError)(answer["error"])
    return scores_from_plain(answer["scores"])


def _crash(where: str, ended: Ended) -> EvaluationError:
    last = f"; its last words: {ended.complaint}" if ended.complaint else ""
    if ended.signal == "SIGKILL":
        return OutOfMemory(
            f"{where}: its process was ended by SIGKILL, which is what the system does when "
            f"memory runs out{last}"
        )
    how = f"by {ended.signal}" if ended.signal else f"with exit status {ended.status}"
    return EvaluationError(f"{where}: its process ended {how}{last}")
