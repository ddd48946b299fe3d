"""``evomerge completion``: a script that lets a shell complete verbs, options and their words.

The script asks the program itself: ``evomerge completion bash -- merge --de`` prints ``--device``.
Where nothing is printed, the shell completes file names.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum
from inspect import unwrap
from typing import Annotated, Any, get_args, get_type_hints

from typer import Argument

from evomerge.cli.main import VERBS, command

HELP = "--help"


class Shell(str, Enum):
    """The shells there is a script for."""

    bash = "bash"
    zsh = "zsh"
    fish = "fish"


# Each hands the words typed so far to the program, the unfinished one last.
SCRIPTS = {
    Shell.bash: """\
# For this shell: eval "$(evomerge completion bash)"; for all: that line in ~/.bashrc
_evomerge() {
    local IFS=$'\\n'
    COMPREPLY=($("${COMP_WORDS[0]}" completion bash -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o bashdefault -o default -F _evomerge evomerge
""",
    Shell.zsh: """\
# For this shell: eval "$(evomerge completion zsh)"; for all: that line in ~/.zshrc, after compinit
_evomerge() {
    local -a found
    found=("${(@f)$("${words[1]}" completion zsh -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    if [[ -n "$found" ]]; then compadd -- "${found[@]}"; else _files; fi
}
compdef _evomerge evomerge
""",
    Shell.fish: """\
# For this shell: evomerge completion fish | source; for all: that line in config.fish
function __evomerge
    set -l words (commandline -opc) (commandline -ct)
    set -l found (command $words[1] completion fish -- $words[2..-1] 2>/dev/null)
    if test -n "$found"
        string join \\n $found
    else
        __fish_complete_path (commandline -ct)
    end
end
complete -c evomerge -f -a '(__evomerge)'
""",
}


def completion(
    shell: Annotated[Shell, Argument(help="Which shell the script is for.", show_default=False)],
    words: Annotated[
        list[str] | None,
        Argument(metavar="[-- WORD...]", help="Instead, print what may stand for the last word."),
    ] = None,
) -> None:
    """Prints the script with which a shell completes verbs, options and their words.

    For example, in ~/.bashrc: eval "$(evomerge completion bash)"
    """
    lines = [SCRIPTS[shell]] if words is None else [f"{word}\n" for word in completions(words)]
    sys.stdout.write("".join(lines))


def completions(words: Sequence[str]) -> list[str]:
    """What the last of the words after ``evomerge`` may become; none where a path may stand."""
    *before, unfinished = words or ("",)
    if not before:
        possible: list[str] = [*VERBS, HELP, "--version"]
    elif before[0] not in VERBS:
        return []
    else:
        possible = list(_possible(before, unfinished))
    return [word for word in possible if word.startswith(unfinished)]


def _possible(before: Sequence[str], unfinished: str) -> Iterator[str]:
    """The words of the option that stands before, or the names of options; a verb's own words."""
    verb, *rest = before
    asked: Any = command(verb)  # a click command
    words: Mapping[str, object] = getattr(asked, "commands", {})
    if rest and rest[0] in words:
        asked = words[rest[0]]
    elif words and not rest and not unfinished.startswith("-"):
        yield from words
    previous = before[-1]
    for parameter in asked.params:
        named = [*parameter.opts, *parameter.secondary_opts]
        is_option = parameter.param_type_name == "option"
        if is_option and previous in named and not parameter.is_flag:
            yield from _words_of(asked.callback, parameter.name)
            return
        if is_option and unfinished.startswith("-"):
            yield from named
    if unfinished.startswith("-"):
        yield HELP


def _words_of(function: Callable[..., object], name: str) -> Iterator[str]:
    """The words that a parameter takes, if it takes no others."""
    hint = get_type_hints(unwrap(function))[name]
    for kind in (hint, *get_args(hint)):
        if isinstance(kind, type) and issubclass(kind, Enum):
            yield from (str(member.value) for member in kind)
