"""Promises of the greedy soup of many models, in a whole run."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest
from safetensors.numpy import load_file

import evomerge
from evomerge.evidence import evidence_of
from evomerge.study import Study
from evomerge.trial import Trial
from evomerge.zoo.random_models import Options, random_siblings
from evomerge.zoo.small_tokenizers import byte_tokenizer
from tests.search.tiny_runs import TEXT

MANY = 10
ALIASES = [f"m{number}" for number in range(MANY)]
# An item for each of some numbers: how near it is to where training would have ended. Those of the
# holdout are other numbers.
SCORES = """\
import json
from itertools import pairwise
from pathlib import Path

GOAL = json.loads((Path(__file__).parent / "goal.json").read_text())

def nearness(model, begin, end):
    numbers = model.get_input_embeddings().weight.flatten()[begin:end].tolist()
    return [-abs(found - goal) for found, goal in zip(numbers, GOAL[begin:end], strict=True)]

def score(model, tokenizer):
    return nearness(model, 0, 400)

def score_held_out(model, tokenizer):
    return nearness(model, 400, 1000)
"""


@pytest.fixture(scope="module")
def study(module_folder: Path) -> Study:
    """A finished search: each model is what all aim at, and noise of its own."""
    options = Options(tokenizer=byte_tokenizer([TEXT], 262))
    goal, models = random_siblings(module_folder / "models", count=MANY, options=options)
    embedding = load_file(goal / "model.safetensors")["model.embed_tokens.weight"]
    (module_folder / "goal.json").write_text(json.dumps(embedding.flatten()[:1000].tolist()))
    (module_folder / "nearness.py").write_text(SCORES)
    weight = {"weight": {"search": [0, 1]}}
    tree = {
        "run": "run",
        "models": dict(zip(ALIASES, map(str, models), strict=True)),
        "recipe": {
            "merge_method": "linear",
            "models": [{"model": alias, "parameters": weight} for alias in ALIASES],
            "dtype": "float32",
        },
        "optimizer": "greedy_soup",
        "evaluators": {"near": {"name": "python", "function": "nearness.py:score"}},
        "objectives": "near",
        "holdout": {"near": {"name": "python", "function": "nearness.py:score_held_out"}},
        "budget": {"trials": 40},
    }
    config = module_folder / "config.yaml"
    config.write_text(json.dumps(tree))
    return evomerge.search(config)


def used(trial: Trial) -> int:
    """How many models are in a soup."""
    return sum(float(weight) > 0 for weight in (trial.point or {}).values())


def test_soups_grow_by_one_model_at_a_time(study):
    """The models alone have been scored before the search begins."""
    sizes = [used(trial) for trial in study.trials if trial.stage == "search"]
    assert sizes[0] == 2
    assert all(after - before in {0, 1} for before, after in pairwise(sizes))
    assert sizes[-1] > MANY // 2


def test_the_more_models_the_less_is_left_of_the_noise_of_each(study):
    baselines = [trial for trial in study.trials if trial.stage == "baselines"]
    alone = [trial for trial in baselines if trial.label.startswith("parent")]
    soups = [trial for trial in study.trials if trial.stage == "search" and used(trial) > MANY // 2]
    best = max(trial.scores["near"].value for trial in alone)
    assert len(alone) == MANY
    assert all(trial.scores["near"].value > best for trial in soups)


def test_the_holdout_agrees(study):
    verdict = evidence_of(study).verdicts[0]
    assert verdict.word == "gain"
    assert len(verdict.rivals) == MANY
    assert all(rival.gain > 0 for rival in verdict.rivals)
