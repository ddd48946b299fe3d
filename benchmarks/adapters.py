"""What merging adapters costs: seconds a matrix for each method, and all of an 8 B model.

Adapters are synthetic: rank 64, float32 numbers drawn at random, with a common part (`related`, as
those of one recipe on two tasks) or without one (`unrelated`, which is the worst case for means
that iterate). Reading and writing are not counted.

    OMP_NUM_THREADS=1 python benchmarks/adapters.py matrix
    OMP_NUM_THREADS=1 python benchmarks/adapters.py model --method balanced
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np

from evomerge.adapters.base import Task, adapter_methods, shares
from evomerge.adapters.updates import Update

RANK, ADAPTERS, WIDTH = 64, 8, 4096
# Llama 3 8B: q, k, v, o, gate, up, down of each of 32 layers, (outputs, inputs).
LAYER = [(4096, 4096), (1024, 4096), (1024, 4096), (4096, 4096)]
LAYER += [(14336, 4096), (14336, 4096), (4096, 14336)]
METHODS = {
    "chordal": ("frechet", {"manifold": "chordal"}),
    "balanced": ("frechet", {"manifold": "balanced"}),
    "invariant": ("frechet", {"manifold": "invariant"}),
    "knots": ("knots", {"density": 0.5}),
    "svd": ("svd", {}),
    "linear": ("linear", {}),
    "naive": ("naive", {}),
}


def drawn(shape: tuple[int, int], common: float, seed: int = 0) -> list[Update]:
    """Updates of one matrix, of which each factor has a common part of this share."""
    rng = np.random.default_rng(seed)

    def factors(rows: int) -> list[np.ndarray]:
        shared = common * rng.standard_normal((rows, RANK), np.float32)
        own = (1 - common) * rng.standard_normal((ADAPTERS, rows, RANK), np.float32)
        return [(shared + each).astype(np.float64) for each in own]

    pairs = zip(factors(shape[0]), factors(shape[1]), strict=True)
    return [Update(left, right) for left, right in pairs]


def merge(name: str, updates: list[Update]) -> tuple[float, float, int, float]:
    """Seconds of the clock and of the processor, steps, and the residual."""
    method, values = METHODS[name]
    declared = adapter_methods[method]
    given = {key: values.get(key, param.default) for key, param in declared.params.items()}
    weights = shares([1.0] * len(updates), "matrix")
    task = Task("matrix", updates, weights, [str(i) for i in range(len(updates))], given)
    begin, used = time.perf_counter(), time.process_time()
    merged = declared.method.merge(task)
    spent = time.process_time() - used
    return time.perf_counter() - begin, spent, merged.steps, merged.residual


def matrix(names: list[str]) -> None:
    """A table of one matrix of 4096 × 4096."""
    print(f"{'method':<10} {'adapters':<10} {'clock s':>8} {'cpu s':>8} {'steps':>6} {'left':>9}")
    for kind, common in (("related", 0.5), ("unrelated", 0.0)):
        updates = drawn((WIDTH, WIDTH), common)
        for name in names:
            clock, used, steps, left = min(merge(name, updates) for _ in range(3))
            print(
                f"{name:<10} {kind:<10} {clock:8.2f} {used:8.2f} {steps:6} {left:9.1e}", flush=True
            )


def model(name: str, layers: int) -> None:
    """The matrices of some layers of an 8 B model, which has 32, one after the other."""
    clock = used = 0.0
    for layer in range(layers):
        for number, shape in enumerate(LAYER):
            elapsed, spent, *_ = merge(name, drawn(shape, 0.5, seed=7 * layer + number))
            clock, used = clock + elapsed, used + spent
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    time_taken = f"{clock:.0f} s by the clock, {used:.0f} s of cpu"
    print(f"{name}: {layers * len(LAYER)} matrices, {time_taken}, peak {peak:.2f} GB")


def main() -> None:
    """Runs what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["matrix", "model"])
    parser.add_argument("--method", choices=sorted(METHODS), action="append")
    parser.add_argument("--layers", type=int, default=32)
    asked = parser.parse_args()
    if asked.what == "matrix":
        matrix(asked.method or list(METHODS))
    else:
        for name in asked.method or ["balanced"]:
            model(name, asked.layers)


if __name__ == "__main__":
    main()
