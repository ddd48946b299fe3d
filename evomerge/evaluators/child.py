"""The program that scores one model in a process of its own: JSON comes in, JSON goes out.

    python -m evomerge.evaluators.child < request

What libraries print goes to standard error; standard output holds the answer alone. The program
ends with the process that asked: when its standard input closes, so does its whole group.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from threading import Thread

from evomerge.errors import EvomergeError
from evomerge.evaluators.base import LoadedModel, make_evaluator
from evomerge.evaluators.isolation import Request
from evomerge.evaluators.loading import load_model, outline_model
from evomerge.evaluators.memory import memory_watched
from evomerge.evaluators.scores import plain_scores


def main() -> None:
    """Answers one request."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)
        request = Request(**json.loads(sys.stdin.readline()))
        Thread(target=_end_with_the_parent, daemon=True).start()
        json.dump(answer(request), answers)


def answer(request: Request) -> Mapping[str, object]:
    """The scores as plain data, or the error and its kind."""
    try:
        with memory_watched(request.label):
            evaluator = make_evaluator(request.settings)
            model = _model(request, outlined=evaluator.needs_folder)
            return {"scores": plain_scores(evaluator.evaluate(model, request.items))}
    except EvomergeError as error:
        return {"kind": type(error).__name__, "error": str(error)}


def _model(request: Request, *, outlined: bool) -> LoadedModel:
    """The model; without weights where the evaluator reads the folder itself."""
    folder, label, own_code = Path(request.folder), request.label, request.own_code
    if outlined:
        return outline_model(folder, label=label, trust_remote_code=own_code)
    return load_model(
        folder,
        device=request.device,
        dtype=request.dtype,
        label=label,
        trust_remote_code=own_code,
    )


def _end_with_the_parent() -> None:
    while os.read(0, 1):  # not of sys.stdin, whose lock would be held when the interpreter ends
        pass
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
