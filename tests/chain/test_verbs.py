"""What each verb, and each function for programs, does with a chain."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

import evomerge
from evomerge.chain import Chain
from evomerge.chain.findings import closing, findings, findings_document, findings_tree
from evomerge.chain.winners import winner_of
from evomerge.cli.main import main
from evomerge.cli.running import resumable
from evomerge.errors import Interrupted, StudyError
from evomerge.evidence import best_of, evidence_of
from evomerge.report.blocks import Heading, Paragraph
from evomerge.report.statements import headline
from evomerge.study import Study
from tests.chain.chains import blend, config, stack
from tests.chain.conftest import STAGES
from tests.search.test_session import Listening

FEW = {
    "blend": blend("words", baselines="none", budget={"trials": 2}),
    "stack": stack("blend", "words", layers=2, baselines="none", budget={"trials": 2}),
}


@pytest.fixture
def verb(capsys):
    """Runs a command line, and gives its exit code, standard output and standard error."""

    def run(*words: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return run


@pytest.fixture
def stopped(finished, tmp_path) -> Chain:
    """A chain whose last stage has not begun."""
    shutil.copytree(finished.run, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "2-stack")
    return Chain.open(tmp_path / "run")


def test_check_says_what_every_stage_is_and_takes(verb, tmp_path, models):
    path = config(tmp_path, models, FEW)
    before = sorted(tmp_path.rglob("*"))
    code, out, _ = verb("check", path)
    assert code == 0
    first, second, times = out.split("\n\n")
    assert first.startswith(f"{path}: stage blend")
    assert second.startswith(f"{path}: stage stack")
    assert "base (base), words, sums\n" in first
    assert "base, words, sums, blend\n" in second
    assert [line.count(" trials will take about ") for line in times.splitlines()] == [0, 1, 0, 1]
    dry = verb("check", path, "--dry")[1]
    assert [part.splitlines()[:3] for part in dry.split("\n\n")] == [
        part.splitlines()[:3] for part in (first, second)
    ]
    assert sorted(tmp_path.rglob("*")) == before


def test_space_shows_every_stage(verb, tmp_path, models):
    path = config(tmp_path, models, {**FEW, "stack": stack("words", "blend", layers=2)})
    code, out, _ = verb("space", path)
    assert code == 0
    first, second = out.split("Stage ")[1:]
    assert first.startswith("blend\n\n")
    assert "models[words].parameters.weight" in first
    assert second.startswith("stack\n\n")
    assert "      - model: blend\n" in second
    tree = json.loads(verb("space", path, "--form", "json")[1])
    assert list(tree["stages"]) == ["blend", "stack"]
    assert len(tree["stages"]["stack"]["dimensions"]) == 2


def test_search_runs_all_stages_and_finalists_opens_the_holdout(verb, tmp_path, models):
    path = config(tmp_path, models, FEW, finalists=0)
    run = tmp_path / "other"
    code, out, err = verb("search", path, "--run", run, "--trials", 1)
    assert code == 0
    assert "stage blend, 1 of 2" in err
    assert "stage stack, 2 of 2" in err
    assert out.startswith("stage blend: text ")
    assert "The holdout is not opened yet" in out
    assert out.endswith(f"\n  evomerge report {run}\n")
    chain = Chain.open(run)
    assert [len(chain.study(name).stage("search")) for name in chain.stages] == [1, 1]
    assert verb("resume", run, "--quiet")[0] == 0
    assert verb("finalists", run, "--quiet")[0] == 0
    assert len(chain.study("stack").stage("holdout")) == 1
    assert not chain.study("blend").stage("holdout")
    assert verb("resume", run, "--trials", 2, "--quiet")[0] == 0
    assert [len(chain.study(name).stage("search")) for name in chain.stages] == [1, 2]


def test_a_warm_start_is_that_of_the_first_stage(verb, tmp_path, models, finished):
    path = config(tmp_path, models, STAGES)
    code, _, err = verb("search", path, "--warm-start", tmp_path / "gone.yaml")
    assert code == 2
    assert "stage blend: warm_start: " in err
    earlier = finished.place("blend")
    code, _, _ = verb("search", path, "--warm-start", earlier, "--trials", 1, "--quiet")
    assert code == 0
    labels = [trial.label for trial in Chain.open(tmp_path / "run").study("blend").trials]
    assert any(str(earlier) in label for label in labels)


def test_a_chain_that_is_interrupted_is_resumed_if_there_is_one(tmp_path):
    with pytest.raises(KeyboardInterrupt), resumable(tmp_path):
        raise KeyboardInterrupt
    (tmp_path / "chain.yaml").touch()
    with pytest.raises(Interrupted, match=f"evomerge resume {tmp_path}$"), resumable(tmp_path):
        raise KeyboardInterrupt


def test_programs_get_the_study_of_the_last_stage(tmp_path, models, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tree = json.loads(config(tmp_path, models, FEW).read_text())
    listening = Listening()
    study = evomerge.search(tree, run="a/../chain", trials=1, watcher=listening)
    assert study.run == Path("a/../chain/2-stack")
    assert (study.run / "best.yaml").exists()
    entered = Chain.open(Path("chain")).entered()["blend"]
    assert Path(entered).parent == tmp_path / "chain" / "models"
    assert sum(note.startswith("stage ") for note in listening.notes) == 3
    again = evomerge.resume("chain", trials=2)
    assert again.run == Path("chain/2-stack")
    assert len(again.stage("search")) == 2
    with pytest.raises(StudyError, match=r"chain: is a chain of runs; .*: chain/1-blend, chain/2-"):
        Study.open("chain")


def test_the_report_has_the_verdict_first_and_each_stage(finished, verb):
    code, out, _ = verb("report", finished.run)
    assert code == 0
    last = finished.study("stack")
    blocks = list(findings_document(finished))
    assert blocks[0] == Paragraph(findings_tree(finished)["headline"])
    headings = [block.text for block in blocks if isinstance(block, Heading)]
    assert headings[:3] == ["Stages", "Stage blend", "Stage stack, in full"]
    winner = winner_of(finished.study("blend"))
    assert f"Trial {winner.number} is the model blend of the later stages." in out
    assert Path(finished.entered()["blend"]).name in out
    assert f"evomerge report {finished.place('blend')}" in out.replace("\n", " ")
    assert f"Best recipe (trial {best_of(last).number})" in out


def test_the_report_for_programs_has_all_of_each_stage(finished, verb):
    tree = json.loads(verb("report", finished.run, "--form", "json")[1])
    assert tree == json.loads(json.dumps(findings_tree(finished)))
    assert list(tree["stages"]) == ["blend", "stack"]
    assert tree["headline"] == tree["stages"]["stack"]["report"]["headline"]
    assert tree["stages"]["blend"]["model"] == finished.entered()["blend"]
    assert tree["stages"]["stack"]["model"] is None
    assert len(tree["stages"]["blend"]["report"]["baselines"]) == 10


@pytest.mark.parametrize("words", [["--trial", 0], ["--form", "csv"], ["--form", "html"]])
def test_what_is_about_one_run_is_asked_of_a_stage(finished, verb, words):
    code, _, err = verb("report", finished.run, *words)
    assert code == 2
    assert f"is a chain of runs; name one of them: {finished.place('blend')}" in err


def test_a_chain_on_its_way_says_where_it_is(stopped, verb):
    headline = findings_tree(stopped)["headline"]
    assert headline == (
        "No verdict yet: the chain is in stage blend, and only stack, its last, is judged."
    )
    first, second = findings(stopped)
    assert (first.model, second.summary) == (None, None)
    out = verb("report", stopped.run)[1]
    assert "not begun" in out
    assert f"Its best so far is trial {winner_of(stopped.study('blend')).number}." in out
    assert closing(stopped.run).startswith("stage blend: text ")
    code, _, err = verb("finalists", stopped.run)
    assert (code, "its last stage, stack, has not begun" in err) == (2, True)


def test_export_writes_the_way_to_the_last_model(finished, verb, tmp_path):
    out, model = tmp_path / "out.yaml", tmp_path / "model"
    code, said, _ = verb("export", finished.run, out, "--model", model)
    assert code == 0
    documents = list(yaml.safe_load_all(out.read_text()))
    files = sorted(tmp_path.glob("out-*.yaml"))
    assert len(documents) == len(files)
    assert said.splitlines()[0].startswith(f"{out}: {len(documents)} recipe")
    assert verb("merge", out, tmp_path / "again")[0] == 0
    assert bits(tmp_path / "again") == bits(model)
    code, _, err = verb("export", finished.run, out)
    assert (code, err) == (2, f"error: {out}: exists; choose another or add --force\n")
    assert verb("export", finished.run, out, "--trial", 0, "--force")[0] == 0
    code, _, err = verb("export", finished.run, tmp_path / "front", "--front")
    assert (code, "is a chain of runs" in err) == (2, True)


def bits(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


def test_a_single_search_may_keep_its_holdout_closed_too(tmp_path, models):
    path = config(tmp_path, models, STAGES, finalists=0, baselines="none")
    tree = json.loads(path.read_text())
    tree |= tree.pop("stages")["blend"]
    path.write_text(json.dumps(tree))
    study = evomerge.search(path, trials=1)
    assert [trial.stage for trial in study.trials] == ["search"]
    assert headline(evidence_of(study)).startswith("The holdout is not opened yet")


def test_several_recipes_are_not_checked_without_being_made(finished, verb, tmp_path):
    text = "merge_method: linear\nmodels: [{model: a}]\n"
    (tmp_path / "steps.yaml").write_text(f"name: one\n{text}---\n{text}")
    code, _, err = verb("merge", tmp_path / "steps.yaml", tmp_path / "out", "--dry-run")
    assert code == 2
    assert "--dry-run: checks one recipe, and " in err
