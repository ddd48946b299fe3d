"""Sources in memory: loaded once, read without copies; and whether they fit there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evomerge.checkpoint.reader import open_checkpoint
from evomerge.dtypes import BFLOAT16
from evomerge.errors import CheckpointError
from evomerge.recipe import ModelReference, Recipe
from evomerge.workbench import MemoryPlan, Settings, Workbench, memory, memory_plan
from evomerge.workbench.resident import Resident
from evomerge.zoo.random_models import Options, random_model
from tests.checkpoint.peft_adapters import trained
from tests.workbench.benches import bench, recipe, siblings

MATRIX = "model.layers.0.mlp.up_proj.weight"
CPU = Settings(device="cpu")


@pytest.fixture(scope="module")
def folder(module_folder: Path) -> Path:
    return random_model(module_folder / "model", options=Options(dtype="bfloat16"))


@pytest.mark.parametrize("rows", [None, slice(3, 9), slice(0, 0), np.array([5, 1, 1])], ids=str)
def test_rows_are_those_of_the_file(folder: Path, rows: object):
    with open_checkpoint(str(folder)) as checkpoint:
        found = Resident(checkpoint).load(MATRIX, rows)
        expected = checkpoint.load(MATRIX, rows)
    assert found.dtype == expected.dtype == BFLOAT16
    np.testing.assert_array_equal(found, expected)


def test_rows_are_views_that_nobody_may_change(folder: Path):
    with open_checkpoint(str(folder)) as checkpoint:
        resident = Resident(checkpoint)
        out = np.zeros((4, 32), BFLOAT16)
        rows = resident.load(MATRIX, slice(2, 6), out)
        assert np.shares_memory(rows, resident.load(MATRIX))
        assert not out.any()
        with pytest.raises(ValueError, match="read-only"):
            rows[0, 0] = 1


def test_files_are_read_once(tmp_path: Path):
    checkpoint = open_checkpoint(str(random_model(tmp_path / "model")))
    resident = Resident(checkpoint, [MATRIX])
    assert resident.nbytes == 0
    first = resident.load(MATRIX)
    assert resident.nbytes == checkpoint.info(MATRIX).nbytes
    checkpoint.close()
    assert resident.load(MATRIX) is first
    with pytest.raises((CheckpointError, ValueError, OSError)):
        resident.load("model.norm.weight")  # not held


@pytest.fixture(scope="module")
def models(module_folder: Path) -> list[Path]:
    return siblings(module_folder / "siblings", dtype="bfloat16")


def references(models: list[Path | str]) -> list[ModelReference]:
    return [ModelReference.of(model) for model in models]


def mean(models: list[Path]) -> Recipe:
    return recipe("linear", None, models, weight=0.5)


def weights(model: Path) -> int:
    with open_checkpoint(str(model)) as checkpoint:
        return sum(checkpoint.info(name).nbytes for name in checkpoint.names())


def test_bytes_are_counted_from_the_headers(models: list[Path]):
    plan = memory_plan(references(models), mean(models[:2]), CPU)
    assert plan.sources == sum(map(weights, models))
    assert plan.model == weights(models[0])
    halves = memory_plan(references(models), mean(models[:2]), replace(CPU, device="cuda"))
    assert halves.model == 0


def test_what_an_adapter_changes_counts_in_float32(tmp_path: Path, models: list[Path]):
    adapter = trained(tmp_path / "lora", models[0], r=2, target_modules=["up_proj"])
    adapted = f"{models[0]}+{adapter}"
    plan = memory_plan(references([models[1], adapted]), mean([models[1], adapted]), CPU)
    changed = 2 * 48 * 32 * BFLOAT16.itemsize  # two layers; as much again
    assert plan.sources == 2 * weights(models[0]) + changed
    with bench([models[1], adapted], replace(CPU, resident=True)) as workbench:
        workbench.build(mean([models[1], adapted]))
        held = sum(source.nbytes for source in workbench._sources.values())
    assert held == plan.sources


@given(st.integers(0, 10**12), st.integers(0, 10**11), st.integers(0, 10**12))
def test_models_stay_in_memory_if_they_fit(sources: int, model: int, free: int):
    plan = MemoryPlan(sources, model, 0, 0, free, "cpu", resident=True, asked=False)
    assert plan.fits == (sources + model <= (1 - memory.LEFT_FREE) * free)
    assert replace(plan, resident=False).needed == model


@pytest.mark.parametrize(("free", "resident"), [(1 << 40, True), (1 << 29, False)])
def test_the_first_recipe_decides(
    models: list[Path], monkeypatch: pytest.MonkeyPatch, free: int, resident: bool
):
    monkeypatch.setattr(memory, "free_memory", lambda: free)
    plan = memory_plan(references(models), mean(models[1:]), CPU)
    assert plan.resident == resident
    assert ("in memory" in str(plan)) == resident
    assert ("more than there is room for" in str(plan)) == (not resident)
    with Workbench(references(models), CPU) as workbench:
        assert workbench.resident is None
        workbench.build(mean(models[1:]))
        assert workbench.resident == resident
        assert (workbench._sources is workbench._opened) == (not resident)


@pytest.mark.parametrize("wish", [True, False])
def test_a_wish_is_followed(models: list[Path], monkeypatch: pytest.MonkeyPatch, wish: bool):
    monkeypatch.setattr(memory, "free_memory", lambda: 1 << 29 if wish else 1 << 40)
    plan = memory_plan(references(models), mean(models[1:]), replace(CPU, resident=wish))
    assert plan.resident == wish
    assert "as asked" in str(plan)


def test_the_limit_of_a_container_counts(tmp_path: Path):
    (tmp_path / "memory.max").write_text("5000\n")
    (tmp_path / "memory.current").write_text("2000\n")
    assert memory._of_container(tmp_path) == [3000]
    (tmp_path / "memory.max").write_text("max\n")
    assert memory._of_container(tmp_path) == []
    assert 0 < memory.free_memory() < 1 << 50
