"""``evomerge VERB …``: finds the verb, runs it, and turns errors into one message and an exit code.

Exit codes: 0 done, 2 an error of the user's (message, no traceback), 1 a bug (traceback),
130 interrupted.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import version
from signal import SIG_IGN, SIGINT, SIGTERM, getsignal, signal
from threading import Event

import typer

from evomerge.errors import EvomergeError, Interrupted, unknown

# In the order of the work. A verb lives in the module of its name, as a function of its name, or as
# an app of that name where further words say what it does; a dash is an underscore there.
VERBS = {
    "zoo": "Train a small family of models to try things on.",
    "inspect": "Show what is in a model, or whether a recipe can be merged.",
    "task-vectors": "Show how far models moved from their base, and how far together.",
    "merge": "Turn a recipe into a model folder.",
    "align": "Bring a model to another, along its symmetries.",
    "extract-lora": "Write what a fine-tune changed as a LoRA adapter.",
    "stack": "Write the recipe of a stack of layers.",
    "evaluate": "Score models side by side.",
    "space": "Show what a config searches.",
    "check": "Check a config, and say what its search will take.",
    "search": "Search for recipes as a config says.",
    "resume": "Go on with a search from where it was.",
    "finalists": "Score the best of a run on its holdout.",
    "schema": "Print the JSON schema of config.yaml.",
    "report": "Say what a run found, the verdict first.",
    "export": "Write recipes of a run as mergekit YAML.",
    "completion": "Print the script with which a shell completes words.",
}

UNREAD, USER_ERROR, INTERRUPTED = 1, 2, 130

# What typer raises when words make no command: a parent of its public BadParameter.
_UsageError: type[typer.BadParameter] = typer.BadParameter.__mro__[1]


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line and exits."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    remark = ""
    warnings.showwarning = _warn
    # Deprecations are for developers, who see them in the tests.
    warnings.simplefilter("ignore", DeprecationWarning)
    with _interruptible() as interrupted:
        try:
            code = _run(words)
            sys.stdout.flush()
        except BaseException as error:  # what is interrupted may fail in any way
            code = INTERRUPTED if interrupted.is_set() else _explain(error)
            remark = str(error) if isinstance(error, Interrupted) else ""
    if interrupted.is_set():
        code = _interrupted("".join(words[:1]), remark)
    sys.exit(code)


def overview() -> str:
    """What ``evomerge --help`` prints."""
    width = max(map(len, VERBS))
    lines = [f"  {verb:<{width}}  {line}" for verb, line in VERBS.items()]
    return (
        "Usage: evomerge VERB ...\n\n"
        "Merges language models, and searches for the recipe.\n\nVerbs:\n"
        + "\n".join(lines)
        + "\n\n'evomerge VERB --help' explains a verb; 'evomerge --version' tells the version.\n"
    )


def command(verb: str) -> Callable[..., int | None]:
    """The verb as a typer command, called with its arguments, ``prog_name`` and so on."""
    # Native code that is interrupted while it loads prints a traceback; nothing is to clean up yet.
    with _answering(lambda: os._exit(_interrupted(verb))):
        name = verb.replace("-", "_")
        function = getattr(import_module(f"evomerge.cli.{name}"), name)
    if isinstance(function, typer.Typer):  # a verb with words of its own
        return typer.main.get_command(function)
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command(verb)(function)
    return typer.main.get_command(app)


def _run(words: Sequence[str]) -> int:
    """Does what the words say, and gives the exit code."""
    if not words or words[0] in {"--help", "-h"}:
        sys.stdout.write(overview())
        return 0 if words else USER_ERROR
    if words[0] == "--version":
        sys.stdout.write(f"evomerge {version('evomerge')}\n")
        return 0
    if words[0] not in VERBS:
        return _complain(f"evomerge: {unknown('verb', words[0], VERBS)}", USER_ERROR)
    name = f"evomerge {words[0]}"
    try:
        return command(words[0])(words[1:], prog_name=name, standalone_mode=False) or 0
    except _UsageError as error:
        found = error.format_message().rstrip(".")
        name = error.ctx.command_path if error.ctx else name
        return _complain(f"{name}: {found}; see '{name} --help'", USER_ERROR)


def _explain(error: BaseException) -> int:
    """The exit code for an error of the user's; raises any other again."""
    if isinstance(error, EvomergeError):
        return _complain(str(error), USER_ERROR)
    if isinstance(error, BrokenPipeError):  # whoever reads the results has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNREAD
    raise error


@contextmanager
def _interruptible() -> Iterator[Event]:
    """Both ways to ask a program to stop raise KeyboardInterrupt, so that it cleans up.

    Sets the event that it yields: not every library lets a KeyboardInterrupt through.
    """
    interrupted = Event()

    def interrupt() -> None:
        interrupted.set()
        raise KeyboardInterrupt

    with _answering(interrupt):
        yield interrupted


@contextmanager
def _answering(answer: Callable[[], None]) -> Iterator[None]:
    """What SIGINT and SIGTERM do: the first one of them, so that nothing interrupts the answer.

    One that the caller has chosen to ignore stays ignored.
    """
    signals = [number for number in (SIGINT, SIGTERM) if getsignal(number) is not SIG_IGN]

    def handle(*_: object) -> None:
        for number in signals:
            signal(number, SIG_IGN)
        answer()

    before = {number: signal(number, handle) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal(number, handler)


def _interrupted(verb: str, remark: str = "") -> int:
    """Ends an interrupted verb; ``remark`` is what the verb itself says of what it leaves."""
    left = remark or "nothing half-written is left behind"
    return _complain(f"evomerge {verb}: interrupted; {left}", INTERRUPTED)


def _complain(message: str, code: int) -> int:
    sys.stderr.write(f"error: {message}\n")
    return code


def _warn(message: Warning | str, *_: object, **__: object) -> None:
    sys.stderr.write(f"warning: {message}\n")
