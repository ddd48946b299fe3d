"""Promises of shell completion, the last of them kept by a real bash."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evomerge.cli.completion import SCRIPTS, Shell, completions
from evomerge.cli.main import VERBS

PROGRAM = "from evomerge.cli.main import main; main()"


def test_the_first_word_is_a_verb():
    assert completions([""]) == [*VERBS, "--help", "--version"]
    assert completions(["mer"]) == ["merge"]


def test_after_a_verb_stand_its_options():
    assert completions(["merge", "--de"]) == ["--device"]
    assert completions(["merge", "recipe.yaml", "out", "--fo"]) == ["--force"]


def test_an_option_of_few_words_lists_them():
    assert completions(["inspect", "model", "--form", ""]) == ["text", "json"]
    assert completions(["inspect", "model", "--form", "j"]) == ["json"]


def test_a_verb_may_have_words_of_its_own():
    assert completions(["stack", "s"]) == ["skip", "share", "shuffle"]
    assert completions(["stack", "upscale", "base", "--d"]) == ["--drop"]
    assert completions(["stack", "parallel", "base", "--form", ""]) == ["text", "json"]
    assert completions(["stack", "nonsense", "--d"]) == []


@pytest.mark.parametrize(
    "words", [["merge", ""], ["merge", "reci"], ["merge", "--device", ""], ["nonsense", "--"]]
)
def test_where_anything_may_stand_nothing_is_said(words):
    """The shell then completes names of files."""
    assert completions(words) == []


@given(verb=st.sampled_from(sorted(VERBS)), start=st.sampled_from(["", "-", "--f", "x"]))
def test_whatever_is_offered_continues_the_word(verb, start):
    assert all(word.startswith(start) for word in completions([verb, start]))


@pytest.mark.parametrize("shell", Shell)
def test_every_shell_has_a_script_that_asks_the_program(shell, evomerge):
    code, out, err = evomerge("completion", shell.value)
    assert (code, err) == (0, "")
    assert out == SCRIPTS[shell]
    assert f"completion {shell.value} -- " in out


def test_no_word_yet_lists_the_verbs(evomerge):
    code, out, _ = evomerge("completion", "zsh", "--", "")
    assert code == 0
    assert out.splitlines()[: len(VERBS)] == list(VERBS)


@pytest.fixture
def program(tmp_path, monkeypatch) -> Path:
    """A folder to work in, with ``evomerge`` on the path."""
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    script = bin_folder / "evomerge"
    script.write_text(f"#!/bin/sh\nexec {sys.executable} -c '{PROGRAM}' \"$@\"\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin_folder}:{os.environ['PATH']}")
    return tmp_path


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        (["evomerge", "ins"], "inspect\n"),
        (["evomerge", "merge", "my recipe.yaml", "out", "--dry"], "--dry-run\n"),
        (["evomerge", "inspect", "model", "--form", ""], "text\njson\n"),
        (["evomerge", "merge", "rec"], ""),
    ],
)
def test_bash_completes(typed, offered, program):
    words = " ".join(f"'{word}'" for word in typed)
    lines = f"""
        eval "$(evomerge completion bash)"
        COMP_WORDS=({words}); COMP_CWORD={len(typed) - 1}
        _evomerge
        ((${{#COMPREPLY[@]}})) && printf '%s\\n' "${{COMPREPLY[@]}}"
        complete -p evomerge >&2
    """
    done = subprocess.run(["bash", "-c", lines], capture_output=True, text=True, check=True)
    assert done.stdout == offered
    assert "-F _evomerge evomerge" in done.stderr
