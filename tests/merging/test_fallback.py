"""Where numba cannot be imported, torch merges: with a warning, and with the same bits."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from evomerge.dtypes import BFLOAT16
from tests.merging.tiny import llama, merged, model, recipe, same, tuned

PROGRAM = """
import sys

class NoNumba:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"numba", "llvmlite"}:
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, NoNumba())
import json
import numpy as np
from tests.merging.tiny import merged

for number, tree in enumerate(json.load(sys.stdin)):
    found = merged(tree)
    np.savez(f"{sys.argv[1]}/{number}.npz", **{n: a.view(np.uint16) for n, a in found.items()})
"""
METHODS = {
    "linear": {},
    "task_arithmetic": {"lambda": 0.7},
    "ties": {"density": 0.4},
    "breadcrumbs": {"density": 0.5, "gamma": 0.1},
    "dare_ties": {"density": 0.5, "rescale": "density"},
    "della_linear": {"density": 0.5, "rescale": "probability"},
}


@pytest.fixture(scope="module")
def trees(module_folder):
    tensors = llama(0, dtype=BFLOAT16)
    base = model(module_folder / "base", tensors)
    experts = [model(module_folder / f"expert-{s}", tuned(tensors, s)) for s in (1, 2, 3)]
    return [
        recipe(name, *experts, base=base, weight=[0.5, 1.0], **parameters)
        for name, parameters in METHODS.items()
    ]


@pytest.fixture(scope="module")
def without_numba(trees, module_folder):
    """The warnings, and the tensors of every recipe."""
    done = subprocess.run(
        [sys.executable, "-W", "always::UserWarning", "-c", PROGRAM, str(module_folder)],
        input=json.dumps(trees),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    files = [np.load(module_folder / f"{number}.npz") for number in range(len(trees))]
    return done.stderr, [{n: file[n].view(BFLOAT16) for n in file} for file in files]


def test_it_is_said(without_numba):
    said, _ = without_numba
    assert "the compiled CPU kernels are not available" in said
    assert "is blocked" in said
    assert "merging with torch, slower" in said


@pytest.mark.parametrize("number", range(len(METHODS)), ids=METHODS)
def test_the_bits_are_the_same(without_numba, trees, number):
    same(without_numba[1][number], merged(trees[number]))
