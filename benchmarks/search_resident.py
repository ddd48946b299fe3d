"""A candidate of a search whose models are in memory, in units of one pass over that memory.

    python benchmarks/search_resident.py [--rounds N] [--folder DIR] [--device cpu] [--no-torch]

Base and three models of about 0.5 billion bfloat16 parameters. The unit is a fused copy: four
arrays are read and one is written, all of the same size, by as many threads as there are cores.
Copies and candidates take turns, and medians are compared, since the machine may be busy with other
things. Writes a table in Markdown on standard output.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parent))
import numpy as np
from big_models import find_family
from numba import njit

from evomerge.merging.stream import Options
from evomerge.recipe import ModelReference, Recipe
from evomerge.workbench import Settings, Workbench
from evomerge.workbench.bench import Workbench as Bench

# A search is to stay below these, with the compiled kernels.
AIMS = {"linear": 1.2, "ties, new density": 2.5, "dare_ties": 2.5, "dare_ties, new density": 6.0}
PIECE = 1 << 20


@njit(nogil=True, cache=True)
def fused_copy(a, b, c, d, out):  # noqa: ANN001, ANN201 - typed by numba
    """Reads four arrays and writes one, element by element."""
    for i in range(out.size):
        out[i] = a[i] ^ b[i] ^ c[i] ^ d[i]


class Unit:
    """One fused copy of as many bytes as the models have."""

    def __init__(self, elements: int) -> None:
        rng = np.random.default_rng(0)
        self._arrays = [rng.integers(0, 1 << 16, elements, np.uint16) for _ in range(4)]
        self._out = np.zeros(elements, np.uint16)
        self._threads = len(os.sched_getaffinity(0))

    def copy(self) -> None:
        """Makes one copy."""

        def piece(start: int) -> None:
            part = slice(start, start + PIECE)
            fused_copy(*(array[part] for array in self._arrays), self._out[part])

        with ThreadPoolExecutor(self._threads) as pool:
            list(pool.map(piece, range(0, self._out.size, PIECE)))


def candidates(family: list[Path]) -> dict[str, Callable[[int], Recipe]]:
    """By name, recipes that are new for every number: weights always, and what the name says."""

    def made(method: str, number: int, density: float | None = None, seed: int = 0) -> Recipe:
        own: dict[str, object] = {"weight": 0.3 + 1e-4 * number}
        if density is not None:
            own["density"] = density
        tree: dict[str, object] = {
            "merge_method": method,
            "models": [{"model": str(path), "parameters": own} for path in family[1:]],
            "dtype": "bfloat16",
            "seed": seed,
        }
        if method == "linear":
            tree["models"] = [{"model": str(path), "parameters": own} for path in family]
        else:
            tree["base_model"] = str(family[0])
        return Recipe.from_tree(tree)

    def new(number: int) -> float:
        return 0.4 + 1e-3 * (number % 400)

    return {
        "linear": lambda number: made("linear", number),
        "task_arithmetic": lambda number: made("task_arithmetic", number),
        "ties": lambda number: made("ties", number, 0.5),
        "ties, new density": lambda number: made("ties", number, new(number)),
        "dare_ties": lambda number: made("dare_ties", number, 0.5),
        "dare_ties, new density": lambda number: made("dare_ties", number, new(number)),
        "dare_ties, new seed": lambda number: made("dare_ties", number, 0.5, number),
    }


def main() -> None:
    """Prints the table."""
    options = _options()
    family = find_family(options.folder / "family")
    kinds = candidates(family)
    with Workbench([ModelReference.of(path) for path in family], _settings(options)) as bench:
        bench.build(kinds["linear"](0))
        unit = Unit(sum(t.info.size for t in bench.plan(kinds["linear"](0)).tensors))
        unit.copy()
        _say(f"{options.device}, {os.cpu_count()} cores; resident {resident_memory():.2f} GB\n")
        _say(
            "| candidate | seconds | fused copy, s | ratio | ratio of processor time | aim "
            "| planning, ms |\n|---|---|---|---|---|---|---|"
        )
        for name, make in kinds.items():
            _say(_row(name, make, bench, unit, options.rounds))
        if options.torch and options.device == "cpu":
            Bench._options = _with_torch(Bench._options)
            for name, make in kinds.items():
                _say(_row(f"{name} (torch)", make, bench, unit, options.torch_rounds))
        _say(f"\nresident at the end: {resident_memory():.2f} GB")


def _row(
    name: str, make: Callable[[int], Recipe], bench: Workbench, unit: Unit, rounds: int
) -> str:
    bench.build(make(next(_numbers)))
    ours, copies, plans = [], [], []
    for _ in range(rounds):
        copies.append(_timed(unit.copy))
        asked = make(next(_numbers))
        plans.append(_timed(partial(bench.plan, asked)))
        ours.append(_timed(partial(bench.build, asked)))
    wall, cpu = (median(each) for each in zip(*ours, strict=True))
    unit_wall, unit_cpu = (median(each) for each in zip(*copies, strict=True))
    aim = f"{AIMS[name]:g}" if name in AIMS else ""
    planning = 1e3 * median(wall for wall, _ in plans)
    return (
        f"| {name} | {wall:.3f} | {unit_wall:.3f} | {wall / unit_wall:.2f} | {cpu / unit_cpu:.2f} "
        f"| {aim} | {planning:.1f} |"
    )


def _timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds of wall time, and of processors."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def _with_torch(options: Callable[[Bench], Options]) -> Callable[[Bench], Options]:
    """The same options, without the compiled kernels."""
    from dataclasses import replace

    return lambda bench: replace(options(bench), kernels=False)


def resident_memory() -> float:
    """Of this process, in GB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e9


_numbers: Iterator[int] = count(1)


def _settings(options: argparse.Namespace) -> Settings:
    return Settings(device=options.device, resident=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--torch-rounds", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=Path(".bench"), help="for the models")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--no-torch", dest="torch", action="store_false")
    return parser.parse_args()


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
