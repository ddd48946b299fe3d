"""Whatever is wrong is answered in one message, that of docs/errors.md, and nothing is left."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from evomerge.checkpoint import output
from tests.cli.bad_input import BAD_INPUT, IN_THE_RECIPE, change_config, linear, ties
from tests.cli.bad_input_adapters import BAD_ADAPTERS
from tests.cli.bad_input_align import BAD_ALIGNMENTS
from tests.cli.bad_input_chains import BAD_CHAINS
from tests.cli.bad_input_configs import BAD_CONFIGS
from tests.cli.bad_input_data import BAD_DATA
from tests.cli.bad_input_layers import BAD_LAYERS
from tests.cli.bad_input_match import BAD_MATCHES
from tests.cli.bad_input_runs import BAD_RUNS
from tests.cli.bad_input_task_vectors import BAD_TASK_VECTORS
from tests.cli.test_interrupts import INTERRUPTIONS

DOCUMENT = Path(__file__).parents[2] / "docs" / "errors.md"
# The folder of the messages in the document.
YOURS = "/home/you/merges"
PROGRAM = "from evomerge.cli.main import main; main()"
IN_A_PROCESS = ("an unknown verb", "not YAML", "a truncated file", "an output that exists")


def documented() -> dict[str, str]:
    """The messages of the document by their titles, none of which stands twice.

    Lines of one message are lines.
    """
    rows = re.findall(r"^\| (.+?) \| (.*?) \| .+ \|$", DOCUMENT.read_text("utf-8"), re.MULTILINE)
    rows = [row for row in rows if row[0] not in {"bad input", "what happens"}]
    assert len(dict(rows)) == len(rows)
    return {
        title: "\n".join(text for _, text in re.findall(r"(`+) ?(.+?) ?\1", cell))
        for title, cell in rows
    }


def listing(folder: Path) -> dict[str, int]:
    """Everything below a folder, hidden or not, and when it was changed."""
    return {str(f): f.lstat().st_mtime_ns for f in folder.rglob("*")}


def said(text: str, work: Path) -> str:
    """A message as the document has it."""
    assert text.startswith("error: ")
    lines = text.removeprefix("error: ").replace(str(work), YOURS).splitlines()
    return "\n".join(line.strip() for line in lines)


def count_free_space(monkeypatch, free: int) -> None:
    usage = shutil.disk_usage(".")._replace(free=free)
    monkeypatch.setattr(output, "shutil", SimpleNamespace(**vars(shutil)))
    monkeypatch.setattr(output.shutil, "disk_usage", lambda path: usage)


def test_the_document_and_the_tests_have_the_same_rows():
    titles = list(documented())
    tested = [
        BAD_INPUT,
        BAD_ADAPTERS,
        BAD_CONFIGS,
        BAD_DATA,
        BAD_CHAINS,
        BAD_RUNS,
        BAD_LAYERS,
        BAD_ALIGNMENTS,
        BAD_MATCHES,
        BAD_TASK_VECTORS,
        INTERRUPTIONS,
    ]
    assert sorted(titles) == sorted(title for cases in tested for title in cases)
    assert [title for title in titles if title in BAD_INPUT] == list(BAD_INPUT)


@pytest.mark.parametrize("title", BAD_INPUT)
def test_bad_input(title, work, evomerge, monkeypatch):
    words = BAD_INPUT[title]()
    if title == "no space":
        count_free_space(monkeypatch, 10**7)
    before = listing(work)
    code, out, err = evomerge(*words)
    assert said(err, work) == documented()[title]
    assert (code, out) == (2, "")
    assert listing(work) == before


@pytest.mark.parametrize("title", BAD_DATA)
def test_data_that_do_not_do(title, work, evomerge, tmp_path_factory, monkeypatch):
    monkeypatch.setenv("EVOMERGE_CACHE", str(tmp_path_factory.mktemp("cache")))
    words = BAD_DATA[title]()
    before = listing(work)
    code, out, err = evomerge(*words)
    assert said(err, work) == documented()[title]
    assert (code, out) == (2, "")
    assert listing(work) == before


@pytest.mark.parametrize("title", IN_A_PROCESS)
def test_bad_input_in_a_process_of_its_own(title, work):
    words = BAD_INPUT[title]()
    before = listing(work)
    command = [sys.executable, "-c", PROGRAM, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert said(done.stderr, work) == documented()[title]
    assert (done.returncode, done.stdout) == (2, "")
    assert listing(work) == before


@pytest.mark.parametrize("title", IN_THE_RECIPE)
@pytest.mark.parametrize("how", ["inspect", "dry run"])
def test_what_is_wrong_with_a_recipe_is_known_before_the_merge(title, how, work, evomerge):
    words = BAD_INPUT[title]()
    words = ["inspect", "recipe.yaml"] if how == "inspect" else [*words, "--dry-run"]
    before = listing(work)
    code, _, err = evomerge(*words)
    assert said(err, work) == documented()[title]
    assert code == 2
    assert listing(work) == before


@pytest.mark.parametrize(
    "title", ["an unknown device", "an output that exists", "an output that is one of the models"]
)
def test_a_dry_run_finds_what_is_wrong_with_the_output(title, work, evomerge):
    code, _, err = evomerge(*BAD_INPUT[title](), "--dry-run")
    assert said(err, work) == documented()[title]
    assert code == 2


@pytest.mark.parametrize("title", ["NaN in a model", "infinity in a model"])
def test_nan_is_let_through_on_request(title, work, evomerge):
    code, _, err = evomerge(*BAD_INPUT[title](), "--allow-nan")
    assert (code, err) == (0, "")


def test_a_full_disk_leaves_nothing(work, evomerge, tmp_path, monkeypatch):
    """The space was there when it was counted."""
    disk = mounted(tmp_path, "size=8k")
    count_free_space(monkeypatch, 10**12)
    ties()
    try:
        code, _, err = evomerge("merge", "recipe.yaml", disk / "merged")
        assert os.listdir(disk) == []
    finally:
        unmount(disk)
    assert said(err, work) == (
        f"{YOURS}/disk/merged: cannot be written: No space left on device; free some space or "
        "choose another disk"
    )
    assert code == 2


def test_a_disk_that_cannot_be_written_is_named(work, evomerge, tmp_path):
    disk = mounted(tmp_path, "size=100m,ro")
    ties()
    try:
        code, _, err = evomerge("merge", "recipe.yaml", disk / "merged")
    finally:
        unmount(disk)
    assert said(err, work) == (
        f"{YOURS}/disk/merged: cannot be created: Read-only file system; choose a folder you can "
        "write"
    )
    assert code == 2


def mounted(folder: Path, options: str) -> Path:
    """A small disk of its own, where one may be made."""
    disk = folder / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "none", str(disk)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("a disk cannot be mounted here")
    return disk


def unmount(disk: Path) -> None:
    subprocess.run(["umount", str(disk)], check=True)


def test_too_many_files_are_answered_with_the_remedy(work):
    limited = f"import resource as r; r.setrlimit(r.RLIMIT_NOFILE, (14, 14)); {PROGRAM}"
    words = [*ties(), "--shard-size", "1KB"]
    done = subprocess.run(
        [sys.executable, "-c", limited, *words], capture_output=True, text=True, check=False
    )
    assert said(done.stderr, work) == (
        f"{YOURS}/merged: cannot be written: Too many open files; write fewer, larger files "
        "(--shard-size) or raise `ulimit -n`"
    )
    assert done.returncode == 2
    assert not Path("merged").exists()


def test_models_whose_folders_have_one_name_are_told_apart_by_their_paths(work, evomerge):
    for run, model in (("first", "base"), ("second", "maths")):
        shutil.copytree(model, Path(run, "checkpoint"))
    change_config(Path("second/checkpoint"), architectures=["Qwen2ForCausalLM"])
    code, _, err = evomerge(*linear("first/checkpoint", "second/checkpoint"))
    assert code == 2
    assert err.startswith("error: second/checkpoint: is a Qwen2ForCausalLM, but first/checkpoint")


@pytest.mark.parametrize("long", ["a" * 250, "a" * 300])
def test_a_name_that_is_too_long_is_refused(long, work, evomerge):
    code, _, err = evomerge(*ties()[:2], long)
    assert code == 2
    assert "File name too long" in err
    assert len(err.splitlines()) == 1
