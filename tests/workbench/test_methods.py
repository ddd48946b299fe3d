"""Candidates of several methods: what is scored is what is exported, also step by step."""

from __future__ import annotations

from pathlib import Path

import pytest

from evomerge.recipe import Recipe
from tests.workbench.benches import assert_same, bench, exported, siblings

# Attention, feed-forward and all else; of each kind one that ranks, draws, pools or just adds.
STEPS = [
    ("ties", "linear", "task_arithmetic"),
    ("ties", "dare_ties", "task_arithmetic"),
    ("dare_linear", "dare_ties", "task_arithmetic"),
    ("dare_linear", "dare_ties", "ties"),
    ("ties", "ties", "ties"),
    ("ties", "linear", "task_arithmetic"),
]


@pytest.fixture(scope="module")
def models(module_folder: Path) -> list[Path]:
    return siblings(module_folder / "models", dtype="bfloat16")


def mixed(models: list[Path], attention: str, mlp: str, rest: str, **parameters) -> Recipe:
    listed = {"self_attn": attention, "mlp": mlp}
    entries = [{"filter": name, "value": method} for name, method in listed.items()]
    weights = {"weight": 0.6, "density": 0.5}
    tree = {
        "merge_method": [*entries, {"value": rest}],
        "base_model": str(models[0]),
        "models": [{"model": str(model), "parameters": weights} for model in models],
        "seed": 3,
    }
    return Recipe.from_tree(tree | {"parameters": parameters} if parameters else tree)


@pytest.mark.parametrize("trim", ["tensor", "global"])
def test_every_candidate_is_the_model_of_its_export(tmp_path: Path, models: list[Path], trim: str):
    with bench(models) as workbench:
        for number, methods in enumerate(STEPS):
            given = {"trim": trim} if "ties" in methods else {}
            asked = mixed(models, *methods, **given)
            assert_same(workbench.build(asked), exported(asked, tmp_path / str(number)))


def test_a_change_of_one_method_has_only_its_tensors_merged_again(models: list[Path]):
    def built(*methods: str) -> int:
        workbench.build(mixed(models, *methods))
        return workbench.merged

    with bench(models) as workbench:
        everything = built("ties", "dare_ties", "task_arithmetic")
        assert everything == len(workbench.plan(mixed(models, *STEPS[0])).tensors)
        assert built("ties", "dare_ties", "task_arithmetic") == 0
        assert built("ties", "linear", "task_arithmetic") == 6  # three matrices in each of 2 layers
        assert built("dare_ties", "linear", "task_arithmetic") == 8  # four
        assert built("dare_ties", "linear", "linear") == everything - 14


def test_a_pool_changes_with_the_tensors_that_belong_to_it(models: list[Path]):
    with bench(models) as workbench:
        wide = mixed(models, "ties", "ties", "task_arithmetic", trim="global")
        workbench.build(wide)
        narrow = mixed(models, "ties", "dare_ties", "task_arithmetic", trim="global")
        workbench.build(narrow)
        assert workbench.merged == 14  # what left the pool, and what stayed in it
        workbench.build(narrow)
        assert workbench.merged == 0


def test_a_slice_of_another_method_is_merged_alone(tmp_path: Path, models: list[Path]):
    def sliced(second: str) -> Recipe:
        slices = [
            {"sources": [{"model": str(each), "layer_range": [i, i + 1]} for each in models]}
            for i in (0, 1)
        ]
        slices[1]["merge_method"] = second
        tree = {"merge_method": "ties", "base_model": str(models[0]), "slices": slices}
        return Recipe.from_tree({**tree, "parameters": {"weight": 0.6, "density": 0.5}})

    with bench(models) as workbench:
        workbench.build(sliced("ties"))
        before = workbench.merged
        found = workbench.build(sliced("dare_ties"))
        assert workbench.merged == 9 + 2  # a layer, the final norm and the head
        assert before > workbench.merged
        assert_same(found, exported(sliced("dare_ties"), tmp_path / "out"))
