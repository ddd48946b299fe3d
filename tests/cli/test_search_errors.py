"""Whatever is wrong with a search is answered in one message, that of docs/errors.md; no trace."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from evomerge.cli.running import going_on
from evomerge.config.reading import read_config
from evomerge.errors import Interrupted
from evomerge.goals import read_goals
from evomerge.session import begin
from tests.cli.bad_input_configs import AT_THE_FIRST, BAD_CONFIGS, PROSE, config, prose, python
from tests.cli.bad_input_runs import BAD_RUNS
from tests.cli.test_errors import PROGRAM, documented, listing, said

CHECK, SEARCH = ["check", "config.yaml"], ["search", "config.yaml", "--quiet"]
# What only the machine knows, as the document has it.
PID, HOST = "4711", "here"
# A model of so many words has weights of 256 GB. Its file has a header; the rest is a hole, that
# takes no space, and minutes to read.
WORDS_OF_A_GIANT = 2 * 10**9
PATIENCE = 30  # seconds: reading a giant takes longer, and reading its header never does


@pytest.fixture(scope="module")
def run(models: Path, module_folder: Path) -> Path:
    """A finished search over the small family."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(module_folder)
        config(models={name: str(models / name) for name in FAMILY}, seed=3, run="finished")
        begin(read_config(Path("config.yaml")))
    return module_folder / "finished"


FAMILY = ("base", "maths", "code")


@pytest.fixture
def begun(work: Path, run: Path) -> Path:
    """The current folder, with a copy of that run."""
    shutil.copytree(run, "finished")
    return work


@pytest.fixture
def giants(begun: Path, models: Path) -> Iterator[Path]:
    """The same, but whoever reads the weights of a model gets nowhere."""
    for name in FAMILY:
        (begun / name).unlink()
        shutil.copytree(models / name, name)
        make_giant(Path(name))
    with ended_after(PATIENCE):
        yield begun


def make_giant(model: Path) -> None:
    """Gives a model a vocabulary with which its weights are mostly a hole in the file."""
    settings = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**settings, "vocab_size": WORDS_OF_A_GIANT}))
    file = model / "model.safetensors"
    data = file.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    end = 0
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        size = entry["data_offsets"][1] - entry["data_offsets"][0]
        if name in {"model.embed_tokens.weight", "lm_head.weight"}:
            size = size // entry["shape"][0] * WORDS_OF_A_GIANT
            entry["shape"][0] = WORDS_OF_A_GIANT
        entry["data_offsets"] = [end, end + size]
        end += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    file.write_bytes(len(text).to_bytes(8, "little") + text)
    os.truncate(file, 8 + len(text) + end)


@contextmanager
def ended_after(seconds: int) -> Iterator[None]:
    def late(*_: object) -> None:
        raise TimeoutError(f"not done in {seconds} s: it reads weights")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture(autouse=True)
def _only_our_tasks(monkeypatch):
    """lm-eval's own 14,000 tasks take seconds to read, and are read where ours do not suffice."""
    monkeypatch.setattr("evomerge.evaluators.harness.tasks._is_closed", lambda name, manager: True)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder but the lock, which is free when it is empty."""
    files = (file for file in folder.rglob("*") if file.is_file() and file.name != "lock")
    return {str(file): file.read_bytes() for file in files}


def told(err: str, work: Path) -> str:
    """A message as the document has it."""
    here = f"process {os.getpid()} on {socket.gethostname()}"
    text = said(err, work).replace(here, f"process {PID} on {HOST}")
    return text.replace("File too large", "No space left on device")


def left(work: Path) -> dict[str, int]:
    """Everything in a folder, but Python's bytecode and lm-eval's cache, which are not ours."""
    not_ours = (str(work / "__pycache__"), str(work / "cache"))
    return {path: time for path, time in listing(work).items() if not path.startswith(not_ours)}


def rows_of(out: str) -> dict[str, str]:
    """The table that ``evomerge check`` prints."""
    lines = out.splitlines()
    return {line[:13].strip(): line[15:] for line in lines[: lines.index(memory_row(lines)) + 1]}


def memory_row(lines: list[str]) -> str:
    return next(line for line in lines if line.startswith("memory "))


@pytest.mark.parametrize("title", BAD_CONFIGS)
@pytest.mark.parametrize("words", [CHECK, SEARCH], ids=["check", "search"])
def test_a_bad_config_is_refused_by_check_and_by_search(title, words, begun, evomerge):
    BAD_CONFIGS[title]()
    before = left(begun)
    code, out, err = evomerge(*words)
    assert told(err, begun) == documented()[title]
    assert code == 2
    assert (out == "") == (words is SEARCH or title not in AT_THE_FIRST)
    assert left(begun) == before


@pytest.mark.parametrize("title", [title for title in BAD_CONFIGS if title not in AT_THE_FIRST])
def test_a_bad_config_is_refused_before_any_weight_is_read(title, giants, evomerge):
    BAD_CONFIGS[title]()
    code, out, err = evomerge(*SEARCH)
    said_of_it = told(err, giants).replace(f"{WORDS_OF_A_GIANT} tokens", "7 tokens")
    assert said_of_it == documented()[title]
    assert (code, out) == (2, "")


def test_a_giant_is_a_model_that_could_be_searched(giants, evomerge):
    """Else what is refused above would be refused for another reason."""
    good = {"merge_method": "linear", "models": [{"model": "maths", "parameters": {"weight": 1}}]}
    Path("good.yaml").write_text(json.dumps(good))
    start = {"models[maths].parameters.weight": 0.25}
    config(warm_start=["good.yaml", start], holdout=prose(window=8))
    code, out, err = evomerge(*CHECK, "--dry")
    assert (code, err) == (0, "")
    assert rows_of(out)["memory"].startswith("models 768.00 GB, read from disk for every candidate")
    assert not Path("run").exists()


@pytest.mark.parametrize("title", BAD_RUNS)
def test_a_run_that_cannot_go_on_or_be_read_says_why(title, begun, evomerge):
    with ExitStack() as ending:
        words = BAD_RUNS[title](ending)
        before = contents(begun)
        code, out, err = evomerge(*words)
    assert told(err, begun) == documented()[title]
    assert (code, out) == (2, "")
    assert contents(begun) == before


@pytest.mark.parametrize("title", ["an unknown key of the budget", "no budget at all"])
def test_a_bad_config_in_a_process_of_its_own(title, work):
    BAD_CONFIGS[title]()
    before = listing(work)
    command = [sys.executable, "-c", PROGRAM, *SEARCH]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert said(done.stderr, work) == documented()[title]
    assert (done.returncode, done.stdout) == (2, "")
    assert listing(work) == before


def test_the_budget_of_the_command_line_is_one(work, evomerge):
    config(budget={}, baselines="none")
    assert evomerge(*SEARCH, "--trials", "1")[0] == 0
    assert read_config(Path("run/config.yaml")).config.budget.trials == 1


def test_check_foretells_what_a_search_takes_and_leaves_nothing(work, evomerge):
    config(holdout=prose(window=8), budget={"trials": 40})
    before = left(work)
    code, out, err = evomerge(*CHECK)
    assert (code, err) == (0, "")
    rows = rows_of(out)
    note, trial, total = out.splitlines()[-3:]
    assert list(rows) == [
        "config.yaml",
        "models",
        "space",
        "optimizer",
        "scored by",
        "held out",
        "starts from",
        "compared with",
        "memory",
    ]
    assert rows["models"] == "base (base), maths, code"
    assert rows["space"] == "2 dimensions: 2 continuous"
    assert rows["compared with"].startswith("base, parent maths, parent code, uniform soup")
    assert note.startswith("note: holdout: ")
    assert trial.startswith("a trial takes ")
    starts = sum(len(rows[row].split(", ")) for row in ("starts from", "compared with"))
    assert total.startswith(f"{40 + starts} trials will take about ")
    assert left(work) == before


def test_check_does_not_foretell_what_no_number_of_trials_ends(work, evomerge):
    config(budget={"patience": 5})
    assert evomerge(*CHECK)[1].endswith(
        "how long the search takes depends on when it ends: its budget names no trials\n"
    )


def test_a_dry_check_scores_nothing(work, evomerge):
    config(evaluators=python("def score(model, tokenizer):\n    raise SystemExit('scored')\n"))
    code, out, err = evomerge(*CHECK, "--dry")
    assert (code, err) == (0, "")
    assert "a trial takes" not in out


def test_a_check_says_how_the_dead_are_told(work, evomerge):
    config(probe={"items": 3})
    said_of_it = "prose on 3 items; dead is what is worse than 0.5 of the best baseline"
    assert said_of_it in evomerge(*CHECK, "--dry")[1]
    config(probe={"max": 4})
    assert "prose on 16 items; dead is what is above 4" in evomerge(*CHECK, "--dry")[1]


def test_a_baseline_that_cannot_be_scored_ends_no_search(work, evomerge):
    """One that fails is recorded as it is, if another one has scores."""
    body = (
        "calls = []\n\n"
        "def score(model, tokenizer):\n"
        "    calls.append(1)\n"
        "    return 1.0 / (len(calls) > 2)\n"
    )
    config(evaluators=python(body), budget={"trials": 1})
    code, _, _ = evomerge(*SEARCH)
    assert code == 0
    lines = [json.loads(line) for line in Path("run/study.jsonl").read_text().splitlines()[1:]]
    assert ["failure" in line for line in lines[:4]] == [True, True, False, False]
    assert [line["number"] for line in lines] == list(range(len(lines)))
    assert "parent code" in json.dumps(lines[2])


def test_without_baselines_a_candidate_shows_what_an_evaluator_lacks(work, evomerge):
    config(objectives="prose.bits", baselines="none")
    code, _, err = evomerge(*SEARCH)
    assert told(err, work) == documented()["an objective that its evaluator does not give"]
    assert (code, Path("run").exists()) == (2, False)


def test_a_search_that_is_interrupted_is_resumed_if_there_is_a_run(work):
    goals = read_goals("prose")
    with pytest.raises(KeyboardInterrupt), going_on(Path("run"), goals, 1, quiet=True):
        raise KeyboardInterrupt
    Path("run").mkdir()
    Path("run/study.jsonl").touch()
    with pytest.raises(Interrupted, match=r"evomerge resume run$"):  # noqa: SIM117
        with going_on(Path("run"), goals, 1, quiet=True):
            raise KeyboardInterrupt


def test_a_package_that_is_missing_is_named_with_the_config(work, evomerge, monkeypatch):
    monkeypatch.setattr("evomerge.evaluators.base.find_spec", lambda name: None)
    config(evaluators={"prose": PROSE, "sums": {"name": "lm_eval", "task": "sums"}})
    code, _, err = evomerge(*CHECK)
    assert code == 2
    assert err == (
        "error: config.yaml: evaluator 'lm_eval' needs the lm-eval package: "
        "pip install 'evomerge[lm-eval]'\n"
    )
