"""Element types are mergekit's: of the arithmetic, of the files, and of config.json."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest
import torch

from tests.parity.conftest import Zoo
from tests.parity.side_by_side import TOLERANCE, Pair, difference, follow

pytestmark = pytest.mark.parity

# Half the distance between two numbers next to each other, near 1; the project's limit in float32.
ROUNDING = {"bfloat16": 2**-8, "float16": 2**-11, "float32": TOLERANCE / 3, "float64": 1e-13}
MIXES = [
    ("float32", "bfloat16", "float16"),
    ("bfloat16", "bfloat16", "float16"),
    ("float16", "bfloat16", "bfloat16"),
    ("bfloat16", "bfloat16", "bfloat16"),
    ("float16", "float16", "float16"),
]
METHODS = {
    "linear": {},
    "slerp": {"base_model": "{0}/base", "parameters": {"t": 0.3}},
    "task_arithmetic": {"base_model": "{0}/base"},
}
NAMES = [None, "bfloat16", "float16", "float32"]


def mixed(method: str, kinds: tuple[str, ...], **dtypes: str | None) -> dict[str, object]:
    """The base and two experts, each of another type on disk."""
    models = [f"{kinds[0]}/base", f"{kinds[1]}/expert_1", f"{kinds[2]}/expert_2"]
    listed = [{"model": name, "parameters": {"weight": 0.4}} for name in models]
    if method == "slerp":
        listed = [{"model": name} for name in models[:2]]
    tree = {"merge_method": method, "models": listed, **METHODS[method]}
    if "base_model" in tree:
        tree["base_model"] = models[0]
    return tree | {key: name for key, name in dtypes.items() if name is not None}


def assert_types(pair: Pair, expected: str) -> None:
    ours, theirs = pair.ours, pair.theirs
    assert {str(t.dtype) for t in ours.tensors.values()} == {f"torch.{expected}"}
    assert {n: t.dtype for n, t in ours.tensors.items()} == {
        n: t.dtype for n, t in theirs.tensors.items()
    }
    assert ours.config["dtype"] == expected


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("dtype", "out_dtype"), list(product([*NAMES[1:], "float64"], NAMES)))
def test_the_types_asked_for(
    tmp_path: Path, zoo: Zoo, method: str, dtype: str, out_dtype: str | None
):
    tree = mixed(method, MIXES[0], dtype=dtype, out_dtype=out_dtype)
    pair = follow(zoo(tree), tmp_path)
    assert_types(pair, out_dtype or dtype)
    assert pair.theirs.config["dtype"] == (out_dtype or dtype)
    # mergekit rounds to the type of the arithmetic before it rounds to the file's, and in the
    # arithmetic too: a few roundings of differences there, against our one.
    allowed = 3 * max(ROUNDING[dtype], ROUNDING[out_dtype or dtype])
    for name, tensor in pair.ours.tensors.items():
        assert difference(tensor, pair.theirs.tensors[name]) <= allowed, name


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kinds", MIXES, ids="-".join)
def test_types_in_common(tmp_path: Path, zoo: Zoo, method: str, kinds: tuple[str, ...]):
    """Without ``dtype`` inputs are taken to the smallest type that holds them all."""
    tree = mixed(method, kinds)
    used = kinds[: 2 if method == "slerp" else 3]
    common = used[0] if len(set(used)) == 1 else "float32"
    pair = follow(zoo(tree), tmp_path)
    assert_types(pair, common)
    for name, tensor in pair.ours.tensors.items():
        assert difference(tensor, pair.theirs.tensors[name]) <= 2 * ROUNDING[common], name


def test_inputs_are_rounded_before_the_arithmetic(tmp_path: Path, zoo: Zoo):
    tree = mixed("linear", ("float32",) * 3, dtype="bfloat16", out_dtype="float32")
    pair = follow(zoo({**tree, "models": tree["models"][:1]}), tmp_path)
    for name, tensor in pair.ours.tensors.items():
        assert tensor.equal(pair.theirs.tensors[name])
        assert tensor.equal(tensor.to(torch.bfloat16).float())
