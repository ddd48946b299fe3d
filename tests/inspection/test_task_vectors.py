"""Promises of task vectors: lengths and cosines are those of the vectors, however they are read."""

from __future__ import annotations

import json
import subprocess
import sys
from math import sqrt
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from evomerge.dtypes import BFLOAT16
from evomerge.errors import MergeError
from evomerge.families import BUFFERS
from evomerge.inspection.task_vectors import TaskVectors, measure, plan_reading
from evomerge.recipe import ModelReference
from evomerge.zoo.random_models import Options, random_siblings
from tests.checkpoint.peft_adapters import factors, hand_made
from tests.merging import test_memory
from tests.merging.tiny import (
    EMBEDDING,
    HEAD,
    NORM,
    QUERY,
    UP,
    WIDTH,
    llama,
    model,
    of_layer,
    tuned,
)

DIVISIONS = ("layer", "kind", "tensor")


def found(base: Path, *models: Path | str, by="layer") -> TaskVectors:
    references = [ModelReference.of(str(each)) for each in (base, *models)]
    return measure(plan_reading(references[0], references[1:]), by)


def flat(folder: Path) -> torch.Tensor:
    """All that is trained, one vector in 32 bits."""
    tensors: dict[str, torch.Tensor] = {}
    for file in sorted(folder.glob("*.safetensors")):
        tensors |= load_file(file)
    trained = [tensors[name] for name in sorted(tensors) if not name.endswith(BUFFERS)]
    return torch.cat([tensor.float().reshape(-1) for tensor in trained])


@pytest.mark.parametrize(
    ("family", "options"),
    [
        ("llama", Options(vocabulary=20_000)),  # its embedding takes several blocks
        ("qwen2", Options(tied=True, dtype="float16", shard_bytes=20_000)),
        ("gpt2", Options(original=True, tied=True, dtype="bfloat16")),
        ("mixtral", Options(dtype="bfloat16")),
    ],
    ids=["llama", "qwen2", "gpt2", "mixtral"],
)
def test_inner_products_are_those_of_the_whole_vectors(family, options, tmp_path):
    base, models = random_siblings(tmp_path, family, 3, options=options)
    start = flat(base)
    moved = torch.stack([flat(each) - start for each in models]).double()
    whole = found(base, *models).whole
    assert whole.parameters == len(start)
    assert whole.base == pytest.approx(float(start.double() @ start.double()), rel=1e-12)
    np.testing.assert_allclose(whole.inner, (moved @ moved.T).numpy(), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(whole.norms, moved.norm(dim=1).numpy(), rtol=1e-10)
    unit = moved / moved.norm(dim=1, keepdim=True)
    np.testing.assert_allclose(whole.cosines, (unit @ unit.T).numpy(), rtol=1e-9, atol=1e-12)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """``base`` and three models that were made from it."""
    folder = tmp_path_factory.mktemp("tiny")
    base = llama()
    model(folder / "base", base)
    for seed in (1, 2, 3):
        model(folder / str(seed), tuned(base, seed), backwards=seed == 2)
    return folder


@pytest.mark.parametrize("by", DIVISIONS)
def test_parts_add_up_to_the_whole(by, folder):
    measured = found(folder / "base", folder / "1", folder / "2", by=by)
    inner = sum(part.inner for part in measured.parts)
    np.testing.assert_allclose(inner, measured.whole.inner, rtol=1e-12)
    assert sum(part.parameters for part in measured.parts) == measured.whole.parameters
    assert sum(part.base for part in measured.parts) == pytest.approx(measured.whole.base)


def test_parts_stand_in_the_order_of_the_model(folder):
    models = folder / "base", folder / "1"
    assert [part.name for part in found(*models).parts] == ["before", "0", "1", "after"]
    kinds = [part.name for part in found(*models, by="kind").parts]
    assert kinds == ["embeddings", "attention", "mlp", "norms", "head"]
    tensors = [part.name for part in found(*models, by="tensor").parts]
    assert (tensors[0], tensors[-2:]) == (EMBEDDING, [HEAD, NORM])
    assert len(tensors) == len(llama())


@given(order=st.permutations(("1", "2", "3")))
def test_the_order_of_the_models_is_that_of_rows_and_columns_only(order, folder):
    measured = found(folder / "base", *(folder / name for name in order))
    straight = found(folder / "base", *(folder / name for name in ("1", "2", "3"))).whole
    places = [int(name) - 1 for name in order]
    assert measured.models == tuple(order)
    np.testing.assert_array_equal(measured.whole.inner, straight.inner[np.ix_(places, places)])


def made(folder: Path, base: dict, **models: dict) -> list[Path]:
    return [model(folder / name, tensors) for name, tensors in ({"base": base} | models).items()]


def test_lengths_and_angles_by_hand(tmp_path):
    """One moves all of a layer's queries by 1/2; one by -2; one half of them; one stays."""
    base = {name: np.ones_like(array) for name, array in llama().items()}
    name = of_layer(1, QUERY)
    half = np.where(np.arange(WIDTH)[:, None] < WIDTH // 2, 1.0, 0.0).astype(np.float32)
    changes = {"up": 0.5, "down": -2.0, "half": half, "still": 0.0}
    models = {
        key: base | {name: (base[name] + change).astype(np.float32)}
        for key, change in changes.items()
    }
    measured = found(*made(tmp_path, base, **models))
    assert measured.whole.norms == pytest.approx([0.5 * WIDTH, 2.0 * WIDTH, WIDTH / sqrt(2), 0.0])
    assert measured.whole.relative[0] == pytest.approx(
        0.5 * WIDTH / sqrt(measured.whole.parameters)
    )
    assert measured.whole.cosines[0][:3] == pytest.approx([1.0, -1.0, sqrt(0.5)])
    assert [row[3] for row in measured.whole.cosines] == [None] * 4
    untouched, touched = measured.parts[1:3]
    assert untouched.norms == [0.0] * 4
    assert untouched.cosines == [[None] * 4] * 4
    np.testing.assert_array_equal(touched.inner, measured.whole.inner)


def test_a_part_in_which_the_base_is_zero_has_no_share(tmp_path):
    base = llama()
    base[NORM] = np.zeros_like(base[NORM])
    part = found(*made(tmp_path, base, one=tuned(base, 1)), by="tensor").parts[-1]
    assert (part.name, part.relative) == (NORM, [None])
    assert part.norms[0] > 0


def test_an_optional_tensor_that_a_model_lacks_adds_nothing_to_its_vector(tmp_path):
    """Other models' vectors are what they are; one that only the base has is left out."""
    bias, extra = of_layer(0, "self_attn.q_proj.bias"), of_layer(0, "self_attn.k_proj.bias")
    base = llama() | {bias: np.ones(WIDTH, np.float32), extra: np.ones(WIDTH, np.float32)}
    whole = tuned(base, 1)
    models = {"with": whole, "without": tuned(base, 2)}
    del models["with"][extra], models["without"][extra], models["without"][bias]
    measured = found(*made(tmp_path, base, **models), by="tensor")
    parts = {part.name: part for part in measured.parts}
    assert extra not in parts
    change = float(np.square(whole[bias] - base[bias], dtype=np.float64).sum())
    np.testing.assert_allclose(parts[bias].inner, [[change, 0], [0, 0]])
    np.testing.assert_allclose(
        measured.whole.inner, sum(part.inner for part in measured.parts), rtol=1e-12
    )


def test_an_adapter_is_the_task_vector_that_it_adds(folder, tmp_path):
    query = of_layer(0, QUERY)
    tensors = factors(query.removesuffix(".weight"), WIDTH, WIDTH)
    lora = hand_made(tmp_path / "lora", tensors)
    measured = found(folder / "base", f"{folder / 'base'}+{lora}", by="tensor")
    down, up = (next(v for k, v in tensors.items() if sign in k) for sign in ("lora_A", "lora_B"))
    moved = {part.name: part.norms[0] for part in measured.parts if part.norms[0]}
    assert list(moved) == [query]
    # lora_alpha 4 over rank 2
    assert moved[query] == pytest.approx(2 * float(np.linalg.norm(up @ down)), rel=1e-5)


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("whose", ["base", "one", "two"])
def test_a_model_without_a_finite_vector_is_named(whose, number, tmp_path):
    base = llama(dtype=BFLOAT16)
    models = {"base": base, "one": tuned(base, 1), "two": tuned(base, 2)}
    models[whose] = dict(models[whose])
    models[whose][of_layer(1, UP)] = models[whose][of_layer(1, UP)].copy()
    models[whose][of_layer(1, UP)][1, 2] = number
    with pytest.raises(MergeError, match=rf"^model.layers.1.mlp.up_proj.weight: {whose} holds NaN"):
        found(*made(tmp_path, **models))


MEASURE = """
import json, resource, sys
from evomerge.inspection.task_vectors import measure, plan_reading
from evomerge.recipe import ModelReference

def peak(folders):
    base, *models = map(ModelReference, folders)
    measure(plan_reading(base, models))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

print(json.dumps([peak(folders) for folders in json.load(sys.stdin)]))
"""


def test_memory_does_not_grow_with_the_models(tmp_path):
    """From a few megabytes each to 66 MB in each of four models of bfloat16."""
    sizes = {"small": test_memory.shapes(1000), "large": test_memory.shapes(32_000)}
    folders = [
        [str(test_memory.model(tmp_path / f"{name}-{number}", shapes)) for number in range(4)]
        for name, shapes in sizes.items()
    ]
    done = subprocess.run(
        [sys.executable, "-c", MEASURE],
        input=json.dumps(folders),
        capture_output=True,
        text=True,
        check=True,
    )
    small, large = (kilobytes / 1024 for kilobytes in json.loads(done.stdout))
    assert large - small < 20


def test_numbers_too_far_apart_are_refused(tmp_path):
    base = llama()
    far = dict(base) | {NORM: np.full(WIDTH, -3e38, np.float32)}
    base[NORM] = np.full(WIDTH, 3e38, np.float32)
    with pytest.raises(
        MergeError, match="far holds NaN or infinity, or numbers that differ by more"
    ):
        found(*made(tmp_path, base, far=far))
