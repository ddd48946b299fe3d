"""Functions in the user's own Python files, named ``path/to/file.py:function``."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FunctionType, ModuleType

from evomerge.errors import EvaluationError, unknown


def load_function(reference: str) -> Callable[..., object]:
    """The function that ``path/to/file.py:function`` names. Loading it runs the file.

    Raises:
        EvaluationError: there is no such file, it does not import, or has no such function.
    """
    path, _, name = reference.rpartition(":")
    file = Path(path)
    if file.suffix != ".py" or not name.isidentifier():
        raise EvaluationError(f"'{reference}' names no function; write path/to/file.py:function")
    if not file.is_file():
        raise EvaluationError(f"{file}: no such file; it is looked up from {Path.cwd()}")
    defined = {
        key: value
        for key, value in vars(_import(file)).items()
        if isinstance(value, FunctionType) and not key.startswith("_")
    }
    if name not in defined:
        raise EvaluationError(f"{file}: {unknown('function', name, defined)}")
    return defined[name]


def describe_failure(file: Path, what: str, error: Exception) -> str:
    """``error`` with the line of ``file`` that it came from."""
    line = None
    if isinstance(error, SyntaxError) and error.filename == str(file):
        line = error.lineno
    for frame in traceback.extract_tb(error.__traceback__):
        if frame.filename == str(file):
            line = frame.lineno
    place = f"{file}:{line}" if line else str(file)
    text = error.msg if isinstance(error, SyntaxError) else " ".join(str(error).split())
    return f"{place}: {what}; {type(error).__name__}: {text}"


def _import(file: Path) -> ModuleType:
    name = f"evomerge_user_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, str(file))
    if spec is None or spec.loader is None:
        raise EvaluationError(f"{file}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where its dataclasses look their types up
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # the user's code may raise anything
        del sys.modules[name]
        raise EvaluationError(describe_failure(file, "it does not import", error)) from error
    return module
