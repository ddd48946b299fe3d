"""What a search exports is what mergekit makes of the file, and what was scored."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from evomerge.config.reading import read_config
from evomerge.evidence import evidence_of
from evomerge.export import export
from evomerge.session import begin
from evomerge.study import Study
from tests.parity.side_by_side import assert_same, follow
from tests.search.tiny_runs import config, family

pytestmark = pytest.mark.parity

WEIGHT = {"search": [-0.5, 1.5], "by": ["attn", "mlp"], "knots": 2}


@pytest.fixture(scope="module")
def study(module_folder: Path) -> Study:
    """A real search over methods that draw nothing at random, with holes of every form."""
    models = family(module_folder / "models")
    parameters = {"weight": WEIGHT, "density": {"search": [0.2, 1]}}
    recipe = {
        "merge_method": {"choose": ["ties", "task_arithmetic", "breadcrumbs"]},
        "base_model": "base",
        "models": [{"model": alias, "parameters": parameters} for alias in ("words", "sums")],
        "parameters": {"lambda": {"search": [0.5, 1.5]}},
        "dtype": "float32",
    }
    path = config(module_folder, models, "tpe", recipe=recipe, budget={"trials": 8})
    return begin(read_config(path))


def test_mergekit_makes_the_same_tensors_of_every_recipe_of_a_run(study: Study, tmp_path: Path):
    evidence = evidence_of(study)
    seen = set()
    for trial in study.stage("search"):
        tree = yaml.safe_load(export(study, trial, evidence).text)
        assert_same(follow(tree, tmp_path / str(trial.number)))
        seen.add(tree["merge_method"])
    assert len(seen) > 1
