"""Whatever is wrong with a chain is answered in one message, that of docs/errors.md."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from evomerge.config.reading import read_config
from evomerge.session import begin
from tests.cli.bad_input_chains import BAD_CHAINS
from tests.cli.bad_input_configs import config
from tests.cli.test_errors import documented, said

BOTH = [["check", "config.yaml"], ["search", "config.yaml", "--quiet"]]


@pytest.fixture(scope="module")
def run(models: Path, module_folder: Path) -> Path:
    """A finished search over the small family, as the first stage of a chain would be."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(module_folder)
        family = {name: str(models / name) for name in ("base", "maths", "code")}
        config(models=family, seed=3, run="finished")
        begin(read_config(Path("config.yaml")))
    return module_folder / "finished"


def contents(folder: Path) -> dict[str, bytes]:
    """Every file but the locks, and the configs of stages that follow that of their chain."""
    ours = {"lock", "config.yaml"}
    files = (file for file in folder.rglob("*") if file.is_file() and file.name not in ours)
    return {str(file): file.read_bytes() for file in files}


@pytest.mark.parametrize("title", BAD_CHAINS)
def test_a_bad_chain_says_why(title, work, run, evomerge):
    shutil.copytree(run, "finished")
    asked = BAD_CHAINS[title]()
    before = contents(work)
    for words in BOTH if asked is None else [asked]:
        code, out, err = evomerge(*words)
        assert said(err, work) == documented()[title]
        assert (code, out) == (2, "")
        assert contents(work) == before
