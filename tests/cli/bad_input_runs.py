"""Every way in which a run cannot go on or be read: what is changed, and which words are typed.

The title of each is its row in docs/errors.md. The run is ``finished``, in the current folder.
"""

from __future__ import annotations

import json
import resource
from collections.abc import Callable
from contextlib import ExitStack
from importlib import util
from pathlib import Path

import pytest

from evomerge.study import Study
from evomerge.study.chain import START, seal

# Changes the run, and gives what is typed. What it enters ends with the test.
Prepare = Callable[[ExitStack], list[str]]

BAD_RUNS: dict[str, Prepare] = {}

RUN = Path("finished")
LEDGER = RUN / "study.jsonl"
RESUME = ["resume", "finished", "--trials", "3", "--quiet"]


def case(title: str) -> Callable[[Prepare], Prepare]:
    def enter(prepare: Prepare) -> Prepare:
        BAD_RUNS[title] = prepare
        return prepare

    return enter


def change_config(old: str, new: str) -> None:
    text = (RUN / "config.yaml").read_text()
    assert text.count(old) == 1
    (RUN / "config.yaml").write_text(text.replace(old, new))


def reseal(change: Callable[[list[dict[str, object]]], object]) -> None:
    """Changes the records of the ledger, as one who wrote it might have written them."""
    records = [json.loads(line) for line in LEDGER.read_text().splitlines()]
    change(records)
    link, lines = START, []
    for record in records:
        record.pop("chain")
        line, link = seal(record, link, "a test")
        lines.append(line)
    LEDGER.write_bytes(b"".join(lines))


# To go on with a run.


@case("not a run")
def _(_: ExitStack) -> list[str]:
    Path("notes").mkdir()
    return ["resume", "notes"]


@case("a run of another config")
def _(_: ExitStack) -> list[str]:
    change_config("seed: 3", "seed: 4")
    return RESUME


@case("a run without its config")
def _(_: ExitStack) -> list[str]:
    (RUN / "config.yaml").unlink()
    return RESUME


@case("a ledger that was edited")
def _(_: ExitStack) -> list[str]:
    lines = LEDGER.read_text().splitlines(keepends=True)
    lines[3] = lines[3].replace('"value":', '"value":1', 1)
    LEDGER.write_text("".join(lines))
    return RESUME


@case("a ledger of which a line was removed")
def _(_: ExitStack) -> list[str]:
    lines = LEDGER.read_text().splitlines(keepends=True)
    LEDGER.write_text("".join([*lines[:2], *lines[3:]]))
    return ["report", "finished"]


@case("a run of a newer evomerge")
def _(_: ExitStack) -> list[str]:
    reseal(lambda records: records[0].update(format=2, evomerge="9.1"))
    return RESUME


@case("a run that another process writes")
def _(ending: ExitStack) -> list[str]:
    ending.enter_context(Study.open(RUN, write=True))
    return RESUME


@case("a disk that is full")
def _(ending: ExitStack) -> list[str]:
    # A limit on the size of files fills the disk where a test wants it: at the next line.
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ending.callback(resource.setrlimit, resource.RLIMIT_FSIZE, before)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LEDGER.stat().st_size + 9, before[1]))
    return RESUME


# To look at it, and to take something home.


@case("a trial that does not exist")
def _(_: ExitStack) -> list[str]:
    return ["export", "finished", "best.yaml", "--trial", "99"]


@case("items that are missing")
def _(_: ExitStack) -> list[str]:
    (RUN / "items" / "000001.json").unlink()
    return ["report", "finished", "--items", "0", "1"]


@case("items that were edited")
def _(_: ExitStack) -> list[str]:
    with (RUN / "items" / "000001.json").open("a") as file:
        file.write(" ")
    return ["report", "finished", "--items", "0", "1"]


@case("nothing that could be exported")
def _(_: ExitStack) -> list[str]:
    def constrain(records: list[dict[str, object]]) -> None:
        covers = records[0]["covers"]
        assert isinstance(covers, dict)
        covers["constraints"] = {"prose": {"max": 0.01}}

    reseal(constrain)
    return ["export", "finished", "best.yaml"]


@case("no simplified winner")
def _(_: ExitStack) -> list[str]:
    return ["export", "finished", "best.yaml", "--simplified"]


@case("a file that exists")
def _(_: ExitStack) -> list[str]:
    Path("best.yaml").write_text("keep me\n")
    return ["export", "finished", "best.yaml"]


@case("a folder where the file should be")
def _(_: ExitStack) -> list[str]:
    Path("exports").mkdir()
    return ["export", "finished", "exports"]


@case("a folder of exports that is not empty")
def _(_: ExitStack) -> list[str]:
    Path("front").mkdir()
    Path("front/notes.txt").write_text("keep me\n")
    return ["export", "finished", "front", "--front"]


@case("a page without plotly")
def _(ending: ExitStack) -> list[str]:
    patch = ending.enter_context(pytest.MonkeyPatch.context())
    patch.setattr("evomerge.report.page.find_spec", missing("plotly"))
    return ["report", "finished", "--form", "html"]


@case("a picture of what is no stack")
def _(_: ExitStack) -> list[str]:
    return ["report", "finished", "--trial", "3", "--picture", "stack.png"]


@case("a picture of two runs")
def _(_: ExitStack) -> list[str]:
    return ["report", "finished", "finished", "--picture", "stack.png"]


@case("a picture of a stack without Pillow")
def _(ending: ExitStack) -> list[str]:
    patch = ending.enter_context(pytest.MonkeyPatch.context())
    patch.setattr("evomerge.inspection.grid.find_spec", missing("PIL"))
    return ["report", "finished", "--picture", "stack.png"]


def missing(package: str) -> Callable[[str], object]:
    """``find_spec`` where one package is not installed."""
    return lambda name: None if name == package else util.find_spec(name)
