"""Promises of the command line as a whole: words, numbers, exit codes."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from importlib.metadata import version

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evomerge.cli.main import VERBS, main
from evomerge.cli.quantities import bytes_in, count_in_words, in_words
from evomerge.cli.tables import table
from evomerge.errors import RecipeError

PROGRAM = "from evomerge.cli.main import main; main()"


def test_help_lists_the_verbs(evomerge):
    code, out, err = evomerge("--help")
    assert (code, err) == (0, "")
    assert [line.split()[0] for line in out.splitlines() if line.startswith("  ")] == list(VERBS)


def test_without_words_help_is_shown_and_nothing_done(evomerge):
    assert evomerge() == (2, evomerge("--help")[1], "")


def test_the_version_is_that_of_the_package(evomerge):
    assert evomerge("--version") == (0, f"evomerge {version('evomerge')}\n", "")


def test_a_bug_shows_its_traceback(monkeypatch):
    monkeypatch.setattr("evomerge.cli.merge.read_steps", lambda path: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(["merge", "recipe.yaml", "merged"])


def test_a_reader_who_has_seen_enough_is_no_bug():
    """As in ``evomerge --help | head -1``."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.close()
    _, err = process.communicate()
    assert (process.returncode, err) == (1, b"")


@pytest.mark.parametrize(
    ("text", "nbytes"),
    [("1", 1), ("500MB", 5 * 10**8), ("1.5 gb", 15 * 10**8), ("2GiB", 1 << 31), (".5K", 500)],
)
def test_sizes_are_read_as_people_write_them(text, nbytes):
    assert bytes_in(text, "--shard-size") == nbytes


@given(text=st.text() | st.from_regex(r"[\d.]*\s?[A-Za-z]*", fullmatch=True))
def test_any_other_text_is_refused(text):
    with suppress(RecipeError):
        assert bytes_in(text, "--shard-size") >= 1


@pytest.mark.parametrize(
    ("nbytes", "words"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 KB"), (999_600, "1 MB"), (6.4e9, "6.4 GB")],
)
def test_sizes_are_written_with_three_digits(nbytes, words):
    assert in_words(nbytes) == words


@pytest.mark.parametrize(("count", "words"), [(7, "7"), (4144, "4.14 K"), (7.24e9, "7.24 B")])
def test_counts_are_written_with_three_digits(count, words):
    assert count_in_words(count) == words


def test_a_table_is_aligned_and_has_no_spaces_at_its_ends():
    text = table(("name", "size", "note"), [("a", "10", ""), ("long", "5", "x")], numbers=["size"])
    assert text == "name  size  note\na       10\nlong     5  x\n"


def test_a_table_on_a_terminal_shows_brackets_as_they_are(monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert "[bold]" in table(("name",), [("[bold]",)])
