"""A folder to work in as users do: with small models beside the recipe, and commands run there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from evomerge.cli.main import main
from evomerge.zoo.random_models import Options, fine_tuned, random_model
from evomerge.zoo.small_tokenizers import word_tokenizer

WORDS = ("the", "cat", "sat")
SMALL = Options(layers=2, hidden=16, tokenizer=word_tokenizer(WORDS))


@pytest.fixture(scope="package")
def models(session_folder) -> Path:
    """The base of a family, ``base``, and two models fine-tuned from it, ``maths`` and ``code``."""
    folder = session_folder / "cli"
    base = random_model(folder / "base", options=SMALL)
    fine_tuned(folder / "maths", base, seed=1)
    fine_tuned(folder / "code", base, seed=2)
    return folder


@pytest.fixture
def work(models, tmp_path, monkeypatch) -> Path:
    """An empty folder, the current one, in which the shared models seem to lie."""
    for model in models.iterdir():
        (tmp_path / model.name).symlink_to(model)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def evomerge(capsys) -> Iterator[Callable[..., tuple[int, str, str]]]:
    """Runs a command line here, and gives its exit code, standard output and standard error."""

    def run(*words: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return run
