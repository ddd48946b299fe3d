"""Models that lm-eval itself runs, from a folder: ``vllm``, ``hf``, and what else it knows."""

from __future__ import annotations

import gc
import io
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout

import lm_eval.models  # noqa: F401  it enters the model types in the registry
import torch
from lm_eval.api.model import LM
from lm_eval.api.registry import model_registry

from evomerge.errors import EvaluationError, unknown
from evomerge.evaluators.base import LoadedModel
from evomerge.evaluators.harness.options import Options
from evomerge.evaluators.harness.tasks import describe


def find_backend(name: str) -> type[LM]:
    """The model type that lm-eval calls ``name``.

    Raises:
        EvaluationError: there is none, or its package is not installed.
    """
    if name not in model_registry:
        raise EvaluationError(unknown("backend", name, model_registry.keys()))
    try:
        return model_registry.get(name)
    except ImportError as error:
        raise EvaluationError(f"backend '{name}': it needs another package; {error}") from error


@contextmanager
def running(options: Options, loaded: LoadedModel) -> Iterator[LM]:
    """The model of a folder, as a backend runs it, and out of memory again afterwards.

    Raises:
        EvaluationError: the backend cannot run it.
    """
    kind = find_backend(str(options.backend))
    arguments = {
        "pretrained": str(loaded.written().absolute()),
        "dtype": loaded.dtype,
        "trust_remote_code": loaded.has_own_code,
        **({} if loaded.device == "meta" else {"device": loaded.device}),
        "batch_size": options.batch_size,
        **options.backend_args,
    }
    try:
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            model = kind(**arguments)
    except Exception as error:  # a backend is somebody's code and may raise anything
        raise EvaluationError(
            f"{loaded.label}: the backend '{options.backend}' does not take it; {describe(error)}"
        ) from error
    try:
        yield model
    finally:
        del model
        gc.collect()
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()
