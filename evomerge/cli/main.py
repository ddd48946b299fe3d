"""``evomerge VERB …``: finds the verb, runs it, and turns errors into one message and an exit code.

Exit codes: 0 done, 2 an error of the user's (message, no traceback), 1 a bug (traceback),
130 interrupted.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Sequence
from functools import wraps
from importlib import import_module
from importlib.metadata import version

import typer

from evomerge.errors import EvomergeError, unknown

# In the order of the work. A verb lives in the module of its name, as a function of its name.
VERBS = {
    "zoo": "Train a small family of models to try things on.",
    "inspect": "Show what is in a model, or whether a recipe can be merged.",
    "merge": "Turn a recipe into a model folder.",
    "evaluate": "Score models side by side.",
}

USER_ERROR, INTERRUPTED = 2, 130


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line and exits."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in {"--help", "-h"}:
        sys.stdout.write(overview())
        sys.exit(0 if words else USER_ERROR)
    if words[0] == "--version":
        sys.stdout.write(f"evomerge {version('evomerge')}\n")
        sys.exit(0)
    if words[0] not in VERBS:
        _complain(unknown("verb", words[0], VERBS))
        sys.exit(USER_ERROR)
    warnings.showwarning = _warn
    # Deprecations are for developers, who see them in the tests.
    warnings.simplefilter("ignore", DeprecationWarning)
    command(words[0])(words[1:], prog_name=f"evomerge {words[0]}")


def overview() -> str:
    """What ``evomerge --help`` prints."""
    width = max(map(len, VERBS))
    lines = [f"  {verb:<{width}}  {line}" for verb, line in VERBS.items()]
    return (
        "Usage: evomerge VERB ...\n\n"
        "Merges language models from mergekit recipes.\n\nVerbs:\n"
        + "\n".join(lines)
        + "\n\n'evomerge VERB --help' explains a verb; 'evomerge --version' tells the version.\n"
    )


def command(verb: str) -> Callable[..., None]:
    """The verb as a command that takes arguments, ``prog_name``, and exits."""
    function = getattr(import_module(f"evomerge.cli.{verb}"), verb)
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command(verb)(_guarded(function))
    return typer.main.get_command(app)


def _guarded(function: Callable[..., None]) -> Callable[..., None]:
    @wraps(function)
    def guarded(*args: object, **kwargs: object) -> None:
        try:
            function(*args, **kwargs)
        except EvomergeError as error:
            _complain(str(error))
            sys.exit(USER_ERROR)
        except KeyboardInterrupt:
            _complain("interrupted; nothing half-written is left behind")
            sys.exit(INTERRUPTED)

    return guarded


def _complain(message: str) -> None:
    sys.stderr.write(f"error: {message}\n")


def _warn(message: Warning | str, *_: object, **__: object) -> None:
    sys.stderr.write(f"warning: {message}\n")
