"""The real family, trained in full: merging means something in it."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean
from time import monotonic

import pytest

from evomerge import merge
from evomerge.zoo import Zoo, build
from evomerge.zoo.models import load
from evomerge.zoo.scoring import score
from evomerge.zoo.small_tokenizers import byte_tokenizer
from evomerge.zoo.tasks import SKILLS, items

pytestmark = pytest.mark.slow

TOKENIZER = byte_tokenizer((), 260)


@pytest.fixture(scope="module")
def zoo(module_folder: Path) -> Zoo:
    return build(module_folder / "zoo")


def accuracies(folder: Path) -> dict[str, float]:
    model = load(folder)
    return {skill: score(model, TOKENIZER, items(skill, "holdout")).accuracy for skill in SKILLS}


def mean(folder: Path) -> float:
    return fmean(accuracies(folder).values())


def blended(zoo: Zoo, out: Path, method: str, weight: float) -> Path:
    base = f"base_model: {zoo.base}\n" if method != "linear" else ""
    listed = "".join(
        f"  - {{model: {path}, parameters: {{weight: {weight}}}}}\n"
        for path in zoo.experts.values()
    )
    recipe = out.with_suffix(".yaml")
    recipe.write_text(f"merge_method: {method}\n{base}models:\n{listed}", "utf-8")
    return merge(recipe, out)


def test_the_base_is_half_way_to_every_skill(zoo):
    assert 0.4 <= mean(zoo.base) <= 0.7


def test_an_expert_gains_on_its_own_skill_and_forgets_others(zoo):
    before = accuracies(zoo.base)
    for skill, path in zoo.experts.items():
        after = accuracies(path)
        assert after[skill] > before[skill] + 0.1
        others = [other for other in SKILLS if other != skill]
        assert fmean(after[other] for other in others) < fmean(before[other] for other in others)
        assert fmean(after.values()) < fmean(before.values())


def test_merges_by_hand_stay_near_the_base_or_below_it(zoo, tmp_path):
    base = mean(zoo.base)
    assert mean(blended(zoo, tmp_path / "average", "linear", 1.0)) <= base + 0.05
    assert mean(blended(zoo, tmp_path / "ties", "ties", 1.0)) < base
    assert mean(blended(zoo, tmp_path / "sum", "task_arithmetic", 1.0)) < base / 2
    # A little of each expert is a little more training of all skills.
    assert mean(blended(zoo, tmp_path / "little", "task_arithmetic", 0.15)) <= base + 0.1


def test_what_stands_there_is_found_at_once(zoo):
    started = monotonic()
    assert build(zoo.folder) == zoo
    assert monotonic() - started < 5
