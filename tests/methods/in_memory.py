"""Runs one merge method on arrays in memory: what the core does with a tensor, without files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import numpy as np
import torch

from evomerge.checkpoint.tensors import TensorInfo
from evomerge.dtypes import FLOAT32, FLOAT64, is_float
from evomerge.kernels.engine import fused_engine, reference_engine
from evomerge.kernels.torch_arrays import to_torch
from evomerge.merging.blocks import Reading, TensorBlocks
from evomerge.merging.inputs import Input
from evomerge.methods.base import Parameters, merge_methods
from evomerge.methods.measured import GRAM, Measured
from evomerge.noise import noise_key


@dataclass(frozen=True)
class ArraySource:
    """A source that holds one array."""

    array: np.ndarray
    label: str = "array"
    config: Mapping[str, object] = None
    folder: Path = None

    def names(self):
        return ("weight",)

    def info(self, name):
        return TensorInfo(name, self.array.shape, self.array.dtype)

    def load(self, name, rows=None, out=None):
        array = self.array if rows is None else self.array.reshape(-1, self.array.shape[-1])[rows]
        if out is None:
            return array
        out[...] = array
        return out


def merged(
    name: str,
    arrays: Sequence[np.ndarray],
    *,
    base: np.ndarray | None = None,
    seed: int = 0,
    reference: bool = False,
    work: np.dtype = FLOAT32,
    measured: Sequence[Measured] | None = None,
    **given,
) -> np.ndarray:
    """The merge of ``arrays`` in ``work``; per-model parameters are lists, the base has none.

    A method that looks at data gets what was ``measured``, or else made-up measurements.
    For slerp ``base`` comes first; for methods that take it as one input among others, pass it so.
    """
    method = merge_methods[name]
    inputs = [*([base] if base is not None and method.base == "first" else []), *arrays]
    on_task_vectors = base is not None and method.base in {"optional", "required"}
    parameters = parameters_of(name, len(inputs), given)
    method.check(parameters)
    of_base = base if on_task_vectors else None
    blocks = tensor_blocks(inputs, of_base, seed=seed, reference=reference, work=work)
    kind = method.measures(parameters)
    if kind is not None:
        found = [measurement(kind, array) for array in inputs] if measured is None else measured
        blocks.measure(lambda: [] if None in found else found)
    survey = method.steps.survey(blocks)
    settled = method.steps.settle(survey, blocks, parameters)
    parts = [np.asarray(method.steps.combine(block, settled)).astype(work) for block in blocks]
    return np.concatenate(parts).reshape(inputs[0].shape)


def measurement(kind: str, array: np.ndarray) -> Measured | None:
    """Made up for a tensor from its numbers, whatever their type."""
    rng = np.random.default_rng(crc32(array.astype(np.float32).tobytes()))
    if kind != GRAM:
        diagonal = rng.exponential(size=array.shape).astype(np.float32) * 1e-3
        grid = diagonal.reshape(-1, array.shape[-1] if array.ndim > 1 else max(1, array.size))
        return Measured("weight", lambda rows: grid[rows], norm=float(np.linalg.norm(diagonal)))
    if array.ndim != 2 or array.shape[1] > 2000:
        return None
    inputs = rng.standard_normal((50, array.shape[1] + 1))
    return Measured("weight", lambda rows: (inputs.T @ inputs)[rows])


def tensor_blocks(
    arrays: Sequence[np.ndarray],
    base: np.ndarray | None = None,
    *,
    seed: int = 0,
    reference: bool = False,
    work: np.dtype = FLOAT32,
) -> TensorBlocks:
    """Arrays of one shape as the blocks that a method walks over; ``base`` is subtracted."""
    reference = reference or work == FLOAT64
    engine = reference_engine() if reference else fused_engine()
    reading = Reading(engine, "cpu" if reference else None)
    keys = tuple(noise_key(seed, i, "weight") for i in range(len(arrays)))
    sources = [Input(i, ArraySource(array), "weight") for i, array in enumerate(arrays)]
    of_base = None if base is None else Input(99, ArraySource(base), "weight")
    return TensorBlocks(sources, of_base, work, keys, reading)


def parameters_of(name: str, models: int, given: Mapping[str, object]) -> Parameters:
    """Defaults, and what is given; one value for a per-model parameter holds for every model."""
    shared, per_model = {}, {}
    for param in merge_methods[name].params.values():
        value = given.get(param.name, given.get(param.name + "_", param.default))
        if param.per_model:
            per_model[param.name] = value if isinstance(value, list) else [value] * models
        else:
            shared[param.name] = value
    return Parameters(shared, per_model)


def family(seed: int, shape: tuple[int, ...], count: int, dtype=FLOAT32, change=0.05):
    """A base and ``count`` fine-tuned-like siblings; some elements are left untouched."""
    rng = np.random.default_rng(seed)
    base = rng.standard_normal(shape).astype(np.float32)
    siblings = []
    for _ in range(count):
        delta = change * rng.standard_normal(shape) * (rng.random(shape) > 0.1)
        siblings.append((base + delta).astype(np.float32).astype(dtype))
    return base.astype(dtype), siblings


__all__ = ["ArraySource", "family", "is_float", "merged", "parameters_of", "to_torch", "torch"]
