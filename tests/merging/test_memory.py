"""Promises of memory: it does not grow with the model, nor with a single tensor of it."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from tests.checkpoint.safetensors_files import write_raw
from tests.merging.tiny import EMBEDDING, HEAD, NORM, of_layer, recipe

WIDTH = 512
PROGRAM = """
import json, resource, sys
from evomerge.merging.plan import plan_merge
from evomerge.merging.stream import Options, run
from evomerge.recipe import Recipe

def merge(tree):
    run(plan_merge(Recipe.from_tree(tree)), lambda *_: None, Options(threads=1))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

print(json.dumps([merge(tree) for tree in json.load(sys.stdin)]))
"""


def model(folder, shapes):
    """A model of zeros in bfloat16, whose file has a length but takes no room."""
    folder.mkdir(parents=True)
    header, end = {}, 0
    for name, shape in shapes.items():
        begin, end = end, end + 2 * int(np.prod(shape))
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [begin, end]}
    file = write_raw(folder / "model.safetensors", header)
    with file.open("r+b") as opened:
        opened.truncate(file.stat().st_size + end)
    layers = len({name.split(".")[2] for name in shapes if ".layers." in name})
    config = {"architectures": ["LlamaForCausalLM"], "num_hidden_layers": layers}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def shapes(rows, layers=1, **more):
    found = {EMBEDDING: [rows, WIDTH], NORM: [WIDTH], HEAD: [rows, WIDTH]}
    for number in range(layers):
        found[of_layer(number, "mlp.up_proj.weight")] = [2048, WIDTH]
        found |= {of_layer(number, name): shape for name, shape in more.items()}
    return found


def peaks(tmp_path, method, *kinds, count=4, **parameters):
    """Megabytes at the end of one merge after the other, in one process: the peak so far."""
    trees = []
    for number, kind in enumerate(kinds):
        base, *models = (model(tmp_path / f"{number}-{i}", kind) for i in range(count))
        needs_base = {} if method in {"linear", "karcher"} else {"base": base}
        trees.append(recipe(method, *models, **needs_base, **parameters))
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps(trees),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [kilobytes / 1024 for kilobytes in json.loads(done.stdout)]


WEIGHTED = {"weight": 1, "density": 0.5}


@pytest.mark.parametrize(
    ("method", "parameters"),
    [("linear", {"weight": 1}), ("ties", WEIGHTED), ("della", WEIGHTED)],
)
def test_a_large_embedding_takes_no_large_memory(tmp_path, method, parameters):
    # 32 MB in each of four models; DELLA remembers a bit for each element of three.
    small, large = peaks(tmp_path, method, shapes(1000), shapes(32_000), **parameters)
    assert large - small < 20


def test_a_tensor_of_three_axes_is_no_exception(tmp_path):
    # Experts in one tensor: 32 MB, of which one row is a kilobyte.
    experts = {"mlp.experts.gate_up_proj": [4, 8000, WIDTH]}
    few = {"mlp.experts.gate_up_proj": [4, 100, WIDTH]}
    small, large = peaks(tmp_path, "linear", shapes(100, **few), shapes(100, **experts), weight=1)
    assert large - small < 20


def test_more_layers_take_no_more_memory(tmp_path):
    few, many = peaks(tmp_path, "ties", shapes(1000, 3), shapes(1000, 24), **WEIGHTED)
    assert many - few < 20
