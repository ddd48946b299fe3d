"""The way to a chain's last model leaves as recipes that make it again, here and in mergekit."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from safetensors.numpy import load_file

import evomerge
from evomerge.chain import Chain
from evomerge.chain.running import begin, watched_by
from evomerge.chain.steps import all_in_one, legs, one_by_one
from evomerge.cli.main import main
from evomerge.errors import SearchError, StudyError
from evomerge.evidence import best_of
from evomerge.export import Choice
from evomerge.recipe import Recipe
from tests.chain.chains import blend, config, stack
from tests.chain.conftest import read


@pytest.fixture(scope="module")
def chain(module_folder: Path, models) -> Chain:
    """Blends two models, puts a layer of another on top, and blends the result again."""
    stages = {
        "blend": blend("words", "sums", baselines="none"),
        "stack": stack("blend", "words", layers=2, baselines="none"),
        "again": blend("blend", "stack", baselines="none"),
        "aside": blend("stack", "sums", baselines="none"),
    }
    path = config(module_folder, models, stages, holdout=None)
    begin(read(path), None, watched_by(None), trials=1)
    return Chain.open(module_folder / "run")


@pytest.fixture(scope="module")
def scored(chain, module_folder) -> Path:
    """The last model, from the models that stand in the chain's folder."""
    study = chain.study("aside")
    return evomerge.merge(Recipe.from_tree(best_of(study).recipe), module_folder / "scored")


def written(folder: Path, chain: Chain) -> Path:
    found = legs(chain, Choice())
    out = folder / "best.yaml"
    for place, text in {out: all_in_one(chain, found), **one_by_one(found, out)}.items():
        place.write_text(text)
    return out


def commands(text: str) -> list[list[str]]:
    """What the comment of a file says to run, its lines joined again."""
    words = " ".join(line.removeprefix("#") for line in text.splitlines() if line.startswith("#"))
    return [each.split()[:2] for each in words.split("evomerge merge ")[1:]]


def test_only_what_is_in_the_last_model_leaves(chain, tmp_path):
    found = legs(chain, Choice())
    assert [leg.name for leg in found] == ["blend", "stack", "aside"]
    text = written(tmp_path, chain).read_text()
    assert "# Nothing of what stage again found is in this model." in text
    names = [each.get("name") for each in yaml.safe_load_all(text)]
    assert names == [*(leg.step for leg in found[:-1]), None]
    assert str(chain.models) not in "".join(
        line for line in text.splitlines() if not line.startswith("#")
    )


def test_one_file_makes_the_model_that_was_scored(chain, scored, tmp_path):
    out = written(tmp_path, chain)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(SystemExit) as end:
        main(["merge", str(out), str(tmp_path / "made")])
    assert not end.value.code
    assert sorted(tmp_path.iterdir()) == sorted([*before, tmp_path / "made"])
    assert bits(tmp_path / "made") == bits(scored)
    assert bits(evomerge.merge(out, tmp_path / "again")) == bits(scored)


def test_the_files_of_the_stages_do_in_order_as_they_say(chain, scored, tmp_path):
    """Even where the models between the stages are gone."""
    written(tmp_path, chain)
    files = sorted(tmp_path.glob("best-*.yaml"))
    assert [file.name for file in files] == [
        f"best-{leg.step}.yaml" for leg in legs(chain, Choice())
    ]
    before = {each.name: bits(each) for each in chain.models.iterdir()}
    asked = [each for file in files for each in commands(file.read_text())]
    assert len(asked) == 2
    for _, place in asked:
        shutil.rmtree(place)
    for recipe, place in asked:
        evomerge.merge(recipe, place)
    assert bits(evomerge.merge(files[-1], tmp_path / "made")) == bits(scored)
    assert {each.name: bits(each) for each in chain.models.iterdir()} == before


def bits(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


@pytest.mark.parity
def test_mergekit_multi_makes_the_same_model(chain, scored, tmp_path):
    out = written(tmp_path, chain)
    program = Path(sys.executable).parent / "mergekit-multi"
    places = ["--intermediate-dir", str(tmp_path / "steps"), "--out-path", str(tmp_path / "out")]
    command = [str(program), str(out), *places, "--no-copy-tokenizer", "--quiet"]
    subprocess.run(command, check=True, capture_output=True)
    theirs, ours = (load_file(each / "model.safetensors") for each in (tmp_path / "out", scored))
    assert theirs.keys() == ours.keys()
    for name, tensor in ours.items():
        assert abs(theirs[name] - tensor).max() <= 1e-6 * abs(tensor).max(), name


def test_any_trial_of_the_last_stage_can_leave(chain):
    (leg,) = legs(chain, Choice(number=0))[-1:]
    assert leg.leaving.trial.number == 0
    with pytest.raises(StudyError, match="has no trial 99"):
        legs(chain, Choice(number=99))


def test_a_chain_that_has_not_come_to_its_end_says_what_can_leave(chain, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(chain.run, run)
    shutil.rmtree(run / "4-aside")
    with pytest.raises(SearchError, match=r"last stage, aside, has not .* export .*run/3-again"):
        legs(Chain.open(run), Choice())
