"""Promises of exported recipes: what stands above them, and that they are what was scored."""

from __future__ import annotations

import re
from datetime import date
from importlib.metadata import version
from pathlib import Path

import pytest

from evomerge.evidence import best_of, evidence_of
from evomerge.export import export, write_winners
from evomerge.recipe import ModelReference, Recipe
from evomerge.report.words import scores
from evomerge.study import Study
from evomerge.trial import HOLDOUT, SIMPLIFICATION
from tests.report.studies import Book, finished, ties

TODAY = date(2030, 1, 2)


@pytest.fixture(scope="module")
def study(module_folder: Path) -> Study:
    return finished(module_folder / "run", trials=12)


def text_of(study: Study, number: int) -> str:
    return export(study, study.find(number), evidence_of(study, draws=200), today=TODAY).text


def comment(text: str) -> str:
    """The heading as one line."""
    lines = [line for line in text.splitlines() if line.startswith("#")]
    assert max(map(len, lines)) <= 100
    return " ".join(line.removeprefix("# ") for line in lines)


def test_the_file_is_the_recipe_that_was_scored(study):
    for trial in study.trials[:5]:
        read = Recipe.parse(text_of(study, trial.number))
        assert read.digest() == Recipe.from_tree(trial.recipe).digest()


def test_the_heading_tells_run_trial_scores_version_and_date(study):
    said = comment(text_of(study, 1))
    assert f"Trial 1 (baselines, 'parent sums') of {study.run.resolve()}." in said
    given = scores(study.find(1).scores, ["sums", "words"])
    assert f"On the items of the search: {given}." in said
    assert f"Written by evomerge {version('evomerge')} on 2030-01-02." in said
    assert "mergekit" not in said


def test_the_heading_of_a_finalist_has_its_held_out_scores_and_verdict(study):
    (line,) = [t for t in study.stage(HOLDOUT) if t.subject == best_of(study).number]
    said = comment(text_of(study, line.subject))
    assert "On the holdout: sums" in said
    assert re.search(r"Verdict: gain: \+\.\d+ over parent \w+, 95 % interval \[\+", said)
    assert re.search(r"\b(300|600) held-out items", said)


def test_the_heading_of_a_failure_says_so(study):
    (number,) = [t.number for t in study.trials if t.failure]
    assert "It failed: trial.py: no luck" in comment(text_of(study, number))


def test_extensions_and_drawn_masks_are_in_the_heading(tmp_path):
    book = Book(tmp_path / "run")
    tree = {**ties("base", "sums", rescale="density"), "merge_method": "dare_ties", "seed": 4}
    trial = book.add(answers=book.answers(0.5, 0.5), recipe=tree)
    leaving = export(book.study, trial, evidence_of(book.study), today=TODAY)
    said = comment(leaving.text)
    assert "mergekit does not know seed: 4, rescale: density:" in said
    assert "mergekit draws the masks of dare_ties anew" in said
    assert len(leaving.remarks) == 2


def test_folders_become_absolute_and_ids_stay(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("base", "lora"):
        (tmp_path / name).mkdir()
    book = Book(tmp_path / "run")
    tree = ties("base", "someone/maths@v2", "base+lora", "./base")
    tree["tokenizer"] = {"source": "base", "tokens": {"<pad>": {"source": "someone/code"}}}
    trial = book.add(recipe=tree)
    recipe = export(book.study, trial, evidence_of(book.study)).recipe
    base = str(tmp_path / "base")
    assert recipe.references() == (
        ModelReference("someone/maths", "v2"),
        ModelReference(base, adapter=str(tmp_path / "lora")),
        ModelReference(base),
    )
    assert recipe.base_model == ModelReference(base)
    assert recipe.tokenizer is not None
    assert recipe.tokenizer.tokens["<pad>"].source == ModelReference("someone/code")


def test_a_finished_run_keeps_its_winners(tmp_path):
    study = finished(tmp_path / "run", trials=12)
    best = best_of(study)
    assert write_winners(study) == [study.run / "best.yaml"]
    assert Recipe.read(study.run / "best.yaml").digest() == Recipe.from_tree(best.recipe).digest()
    study.append(_step(study, best.number), study.tables(best.number))
    written = write_winners(study)
    assert [path.name for path in written] == ["best.yaml", "best-simplified.yaml"]
    assert "(simplification)" in comment(written[1].read_text())


def _step(study: Study, subject: int):
    return type(study.trials[0])(
        len(study.trials),
        SIMPLIFICATION,
        study.find(subject).recipe,
        point={"weight": 1.0},
        scores=study.find(subject).scores,
        subject=subject,
    )


def test_where_objectives_stay_apart_the_front_is_a_folder_with_a_table(tmp_path):
    study = finished(tmp_path / "run", trials=12, objectives=["sums", "words"])
    assert [path.name for path in write_winners(study)] == ["best.yaml", "front"]
    files = {file.name for file in (study.run / "front").iterdir()}
    table = (study.run / "front/README.md").read_text()
    assert files - {"README.md"} == set(re.findall(r"\[(trial-\d+\.yaml)\]\(\1\)", table))
    assert "| recipe | sums | words | what it is |" in table
    for name in files - {"README.md"}:
        Recipe.read(study.run / "front" / name)


def test_a_run_in_which_nothing_is_feasible_keeps_nothing(tmp_path):
    book = Book(tmp_path / "run", constraints={"sums": {"min": 0.9}})
    book.search(3)
    assert write_winners(book.study) == []
    assert not (book.study.run / "best.yaml").exists()
