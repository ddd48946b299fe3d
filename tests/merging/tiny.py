"""Models of a few hundred numbers, merged whole: what the core does, in milliseconds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from evomerge.dtypes import FLOAT32
from evomerge.merging.plan import Plan, plan_merge
from evomerge.merging.stream import Options, run
from evomerge.methods.base import merge_methods
from evomerge.recipe import Recipe
from tests.checkpoint.safetensors_files import write, write_index

WIDTH, ROWS = 6, 10
HEAD, EMBEDDING, NORM = "lm_head.weight", "model.embed_tokens.weight", "model.norm.weight"
QUERY, UP = "self_attn.q_proj.weight", "mlp.up_proj.weight"

# Methods that need no texts: those are tried with whole models, in test_measured.py.
METHODS = sorted(n for n in merge_methods if not hasattr(merge_methods[n].steps, "measures"))

Arrays = Mapping[str, np.ndarray]


def of_layer(number: int, name: str) -> str:
    return f"model.layers.{number}.{name}"


def llama(seed: int = 0, *, layers: int = 2, tied: bool = False, dtype=FLOAT32) -> dict:
    """The tensors of a Llama with less of everything, by name."""
    shapes = {EMBEDDING: (ROWS, WIDTH), NORM: (WIDTH,)}
    for number in range(layers):
        shapes[of_layer(number, QUERY)] = (WIDTH, WIDTH)
        shapes[of_layer(number, UP)] = (2 * WIDTH, WIDTH)
        shapes[of_layer(number, "input_layernorm.weight")] = (WIDTH,)
    if not tied:
        shapes[HEAD] = (ROWS, WIDTH)
    rng = np.random.default_rng(seed)
    return {name: rng.standard_normal(shapes[name]).astype(dtype) for name in sorted(shapes)}


def tuned(tensors: Arrays, seed: int, change: float = 0.1) -> dict:
    """The same model, moved a little."""
    rng = np.random.default_rng(seed)
    return {
        name: (array + change * rng.standard_normal(array.shape)).astype(array.dtype)
        for name, array in tensors.items()
    }


def model(folder: Path, tensors: Arrays, *, shards: int = 1, backwards=False, **config) -> Path:
    """Writes a model folder: in so many files, the tensors in order of name or backwards."""
    folder.mkdir(parents=True)
    numbers = {name.split(".")[2] for name in tensors if name.startswith("model.layers.")}
    stated = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "num_hidden_layers": len(numbers),
        "tie_word_embeddings": HEAD not in tensors,
    }
    (folder / "config.json").write_text(json.dumps(stated | config))
    names = sorted(tensors, reverse=backwards)
    if shards == 1:
        write(folder / "model.safetensors", {name: tensors[name] for name in names})
        return folder
    files = {name: f"part-{i % shards}.safetensors" for i, name in enumerate(names)}
    for file in set(files.values()):
        write(folder / file, {name: tensors[name] for name in names if files[name] == file})
    write_index(folder, files)
    return folder


def plan_of(recipe: Mapping[str, object]) -> Plan:
    return plan_merge(Recipe.from_tree(recipe))


def collected(plan: Plan, options: Options | None = None) -> dict[str, np.ndarray]:
    """The merged tensors by name."""
    found = {t.info.name: np.empty(t.info.size, t.info.dtype) for t in plan.tensors}

    def keep(info, offset, block):
        found[info.name][offset : offset + block.size] = block.reshape(-1)

    run(plan, keep, options)
    return {t.info.name: found[t.info.name].reshape(t.info.shape) for t in plan.tensors}


def merged(recipe: Mapping[str, object], options: Options | None = None) -> dict[str, np.ndarray]:
    return collected(plan_of(recipe), options)


def recipe(method: str, *models: Path, base: Path | None = None, **rest) -> dict:
    """A recipe with these models; keywords that are no keys of recipes are parameters."""
    keys = {"dtype", "out_dtype", "seed", "parameters", "slices"}
    tree = {"merge_method": method, "models": [{"model": str(each)} for each in models]}
    if base is not None:
        tree["base_model"] = str(base)
    tree |= {key: value for key, value in rest.items() if key in keys}
    given = {key: value for key, value in rest.items() if key not in keys}
    if given:
        tree["parameters"] = given
    return tree


def sliced(method: str, *slices: list, base: Path | None = None, **parameters) -> dict:
    """A recipe with slices, each a list of ``(model, first, end)``."""
    parts = [
        {"sources": [{"model": str(m), "layer_range": [a, b]} for m, a, b in sources]}
        for sources in slices
    ]
    tree = {"merge_method": method, "slices": parts, "parameters": parameters}
    return tree if base is None else tree | {"base_model": str(base)}


def same(found: Arrays, expected: Arrays) -> None:
    """The same tensors, bit for bit."""
    assert list(found) == list(expected)
    for name, array in expected.items():
        assert found[name].dtype == array.dtype, name
        np.testing.assert_array_equal(found[name], array, err_msg=name)
