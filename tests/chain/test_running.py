"""A whole chain, over real models: what is there at its end, and how it goes on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

import evomerge
from evomerge.chain import Chain, is_chain, judge, resume
from evomerge.chain.folder import locked
from evomerge.chain.running import begin, watched_by
from evomerge.chain.winners import model_name, winner_of
from evomerge.checkpoint.source import open_source
from evomerge.errors import OutputError, RecipeError, SearchError, StudyError
from evomerge.evidence import best_of, evidence_of
from evomerge.evidence.ledger import is_rival
from evomerge.recipe import ModelReference, Recipe
from evomerge.session import Resumption
from evomerge.study import Study
from evomerge.study.folder import LEDGER
from tests.chain.chains import blend, config, stack
from tests.chain.conftest import STAGES, read
from tests.search.test_session import Listening


def ledgers(run: Path) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in run.glob(f"*/{LEDGER}")}


def bits(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


def stages_of(study: Study) -> list[str]:
    return list(dict.fromkeys(trial.stage for trial in study.trials))


@pytest.fixture
def copied(finished, tmp_path, monkeypatch) -> Chain:
    """The finished chain again, to be changed: at its own place, put back afterwards."""
    aside = tmp_path / "aside"
    shutil.copytree(finished.run, aside)
    yield Chain.open(finished.run)
    shutil.rmtree(finished.run)
    shutil.move(aside, finished.run)


def test_every_stage_is_an_ordinary_run(finished):
    assert is_chain(finished.run)
    assert finished.begun == finished.stages == ["blend", "stack"]
    for name in finished.stages:
        study = Study.open(finished.place(name))
        assert yaml.safe_load((study.run / "config.yaml").read_text())["run"] == str(study.run)
        assert (
            Recipe.read(study.run / "best.yaml").digest()
            == Recipe.from_tree(best_of(study).recipe).digest()
        )


def test_the_winner_of_a_stage_is_a_model_of_the_next(finished, tmp_path):
    first, second = (finished.study(name) for name in finished.stages)
    model = Path(finished.entered()["blend"])
    assert model.parent == finished.run / "models"
    assert model.name == model_name("blend", first, winner_of(first))
    made = evomerge.merge(Recipe.from_tree(winner_of(first).recipe), tmp_path / "made")
    assert bits(made) == bits(model)
    with open_source(ModelReference(str(model))) as source:
        assert second.header.covers["models"]["blend"] == source.fingerprint()
    assert list(second.header.covers["models"]) == ["base", "words", "sums", "blend"]


def test_what_enters_scores_what_it_scored(finished):
    first, second = (finished.study(name) for name in finished.stages)
    entered = next(t for t in second.trials if t.label == "parent blend")
    assert entered.scores["text"] == winner_of(first).scores["text"]


def test_the_last_winner_has_to_beat_the_sources_and_every_winner_before_it(finished):
    study = finished.study("stack")
    rivals = ["parent base", "parent words", "parent sums", "parent blend"]
    assert [trial.label for trial in study.stage("baselines") if is_rival(trial)] == rivals
    for verdict in evidence_of(study).verdicts:
        assert [comparison.rival for comparison in verdict.rivals] == rivals


def test_the_holdout_is_opened_at_the_end_alone(finished):
    assert stages_of(finished.study("blend")) == ["baselines", "search"]
    assert stages_of(finished.study("stack")) == ["baselines", "search", "holdout"]
    (note,) = evidence_of(finished.study("blend")).notes
    assert note.startswith("the holdout is not opened yet")


def test_gone_on_with_a_finished_chain_changes_nothing(finished):
    before = ledgers(finished.run)
    listening = Listening()
    study = resume(finished.run, Resumption(), watched_by(listening))
    judge(finished.run, watched_by(None))
    assert ledgers(finished.run) == before
    assert study.run == finished.place("stack")
    assert any(note == "stage stack, 2 of 2" for note in listening.notes)
    assert not any(note.startswith("stage blend") for note in listening.notes)


def test_more_trials_are_those_of_the_last_stage(copied):
    before = ledgers(copied.run)
    study = resume(copied.run, Resumption(trials=6), watched_by(None))
    assert len(study.stage("search")) == 6
    after = ledgers(copied.run)
    assert after["1-blend"] == before["1-blend"]
    assert after["2-stack"].startswith(before["2-stack"])


def test_a_model_that_is_missing_is_made_again(copied):
    before = ledgers(copied.run)
    model = Path(copied.entered()["blend"])
    expected = bits(model)
    shutil.rmtree(model)
    resume(copied.run, Resumption(), watched_by(None))
    assert bits(model) == expected
    assert ledgers(copied.run) == before


def test_a_model_that_no_trial_makes_is_missed(copied):
    config_of_stack = copied.place("stack") / "config.yaml"
    text = config_of_stack.read_text()
    name = Path(copied.entered()["blend"]).name
    config_of_stack.write_text(text.replace(name, "blend-0"))
    with pytest.raises(
        StudyError, match=r"blend-0: is missing, and no trial of .*1-blend makes it"
    ):
        resume(copied.run, Resumption(), watched_by(None))


def test_a_stage_that_was_followed_is_done(copied):
    """Whatever becomes of its ledger, the next stage keeps the model it was begun with."""
    entered = copied.entered()
    evomerge.resume(copied.place("blend"), trials=12)
    assert len(copied.study("blend").stage("search")) == 12
    before = ledgers(copied.run)
    resume(copied.run, Resumption(), watched_by(None))
    assert Chain.open(copied.run).entered() == entered
    assert ledgers(copied.run) == before


def change(chain: Chain, name: str, **changes: object) -> None:
    tree = yaml.safe_load((chain.run / "chain.yaml").read_text())
    tree["stages"][name] |= changes
    (chain.run / "chain.yaml").write_text(yaml.safe_dump(tree, sort_keys=False))


def test_a_budget_may_be_changed_in_the_chains_own_config(copied):
    change(copied, "stack", budget={"trials": 5})
    study = resume(copied.run, Resumption(), watched_by(None))
    assert len(study.stage("search")) == 5


def test_what_decides_the_trials_of_a_begun_stage_may_not(copied):
    change(copied, "stack", seed=9)
    with pytest.raises(
        SearchError, match=r"2-stack: was begun under another config:\n.*seed: 5 be"
    ):
        resume(copied.run, Resumption(), watched_by(None))
    change(copied, "stack", seed=5)
    resume(copied.run, Resumption(), watched_by(None))


def test_the_optimizer_that_auto_took_stays(tmp_path, models):
    only = stack("words", "base", layers=2, optimizer="auto", baselines="none")
    path = config(tmp_path, models, {"stack": only}, holdout=None)
    study = begin(read(path), None, watched_by(None), trials=1)
    chain = Chain.open(tmp_path / "run")
    # For so many trials it would take another; the target is reached at once.
    change(chain, "stack", budget={"trials": 2000, "target": 100})
    resume(chain.run, Resumption(), watched_by(None))
    written = yaml.safe_load((study.run / "config.yaml").read_text())
    assert written["budget"]["trials"] == 2000
    assert written["optimizer"] == study.header.covers["optimizer"]
    assert written["optimizer"]["sampler"] == "gp"


def test_a_stage_that_asks_for_it_is_simplified_and_judged(tmp_path, models):
    asking = {"simplify": {"steps": 3, "tolerance": 5}, "finalists": 1, "baselines": "none"}
    first = blend("words", **asking)
    first["recipe"]["models"][0]["parameters"]["weight"] = {"search": [0, 1], "knots": 2}
    path = config(tmp_path, models, {"blend": first, "stack": STAGES["stack"]})
    begin(read(path), None, watched_by(None), trials=2)
    chain = Chain.open(tmp_path / "run")
    study = chain.study("blend")
    assert stages_of(study) == ["search", "simplification", "holdout"]
    winner = winner_of(study)
    assert winner.stage == "simplification"
    assert Path(chain.entered()["blend"]).name == model_name("blend", study, winner)


def test_a_mistake_in_a_later_stage_is_found_before_anything_runs(tmp_path, models):
    late = stack("blend", "words", layers=2, warm_start=["gone.yaml"])
    path = config(tmp_path, models, {**STAGES, "stack": late})
    with pytest.raises(RecipeError, match=r"stage stack: warm_start: .*gone\.yaml: cannot be read"):
        begin(read(path), None, watched_by(None))
    assert not (tmp_path / "run").exists()


def test_a_chain_that_cannot_score_anything_leaves_nothing(tmp_path, models):
    (tmp_path / "metric.py").write_text("def score(model, tokenizer):\n    return model.nothing\n")
    broken = {"text": {"name": "python", "function": "metric.py:score"}}
    path = config(tmp_path, models, STAGES, evaluators=broken, holdout=None)
    with pytest.raises(SearchError, match="stage blend: every baseline failed"):
        begin(read(path), None, watched_by(None))
    assert not (tmp_path / "run").exists()


def test_a_stage_without_a_feasible_trial_ends_the_chain(tmp_path, models):
    impossible = {"text": {"max": 0.001}}
    first = blend("words", constraints=impossible, baselines="none")
    path = config(tmp_path, models, {**STAGES, "blend": first}, holdout=None)
    with pytest.raises(SearchError, match=r"1-blend: nothing can enter the next stage: .* none of"):
        begin(read(path), None, watched_by(None), trials=1)
    assert Chain.open(tmp_path / "run").begun == ["blend"]


def test_a_chain_is_not_begun_twice_nor_over_something_else(finished, tmp_path, models):
    for stages in (STAGES, {"other": blend("words")}):
        path = config(tmp_path, models, stages)
        with pytest.raises(SearchError, match=r"holds a chain already; .* evomerge resume"):
            begin(read(path), finished.run, watched_by(None))
    with pytest.raises(SearchError, match="holds a run already; "):
        begin(read(path), finished.place("blend"), watched_by(None))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").touch()
    with pytest.raises(OutputError, match=r"not empty \(it has notes.txt\)"):
        begin(read(path), tmp_path / "full", watched_by(None))
    with pytest.raises(OutputError, match="is a file"):
        begin(read(path), path, watched_by(None))
    assert not (tmp_path / "run").exists()


def test_one_process_writes_a_chain(finished):
    with locked(finished.run), pytest.raises(SearchError, match="is being written by process"):
        resume(finished.run, Resumption(), watched_by(None))


def test_a_chain_is_judged_only_at_its_end(copied):
    shutil.rmtree(copied.place("stack"))
    with pytest.raises(SearchError, match="its last stage, stack, has not begun"):
        judge(copied.run, watched_by(None))


def test_the_way_through_three_stages(tmp_path, models):
    """The last blend mixes what both stages before it found."""
    stages = {
        "blend": blend("words", "sums", baselines="none"),
        "stack": stack("blend", "words", layers=2, baselines="none"),
        "again": blend("blend", "stack"),
    }
    path = config(tmp_path, models, stages, holdout=None)
    study = begin(read(path), None, watched_by(None), trials=1)
    chain = Chain.open(tmp_path / "run")
    assert list(chain.entered()) == ["blend", "stack"]
    assert list(study.header.covers["models"]) == ["base", "words", "sums", "blend", "stack"]
    labels = [trial.label for trial in study.stage("baselines")]
    assert labels[:5] == ["base", "parent words", "parent sums", "parent blend", "parent stack"]
    assert json.dumps(best_of(study).recipe).count(str(chain.models)) == 2
