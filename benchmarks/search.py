"""What a trial of a search costs, beside its forward passes, and beside mergekit with lm-eval.

    python benchmarks/search.py [--parts tiny zoo commands replay] [--big] [--rounds 15]
                                [--trials 500] [--replayed 2000] [--zoo demo/zoo] [--folder .bench]

``tiny``: the case on which mergekit-evolve was measured, 0.2 M parameters and 200 multiple-choice
items on one core; they are as short as its 18 ms of forward passes suggest. A real search, whose
trials are taken apart: merging, forward passes and the optimizer's proposal are what a trial is
for; all else is overhead. The memory of the process after 50 trials and at the end.
``zoo``: trials of three methods on the zoo's 750 items, in turn with the strongest rival in one
process that we could write: mergekit's `merge_tensors` into a model in memory, and
`lm_eval.simple_evaluate` on it (`rivals.py`). One thread; both get the same recipes, and the same
scores, which is checked. ``--big`` does the same at 0.5 B parameters with 200 short items, on all
cores; ``--layers`` makes those models smaller.
``commands``: the same on the zoo, beside the commands `mergekit-yaml` and `lm_eval`.
``replay``: seconds until a search of 2,000 recorded trials goes on. They are made by the real loop,
with scores out of thin air.

What a candidate alone takes to be merged, in units of copying the same memory, is measured by
``benchmarks/search_resident.py``; what an optimizer takes, by ``benchmarks/optimizers.py --costs``.

Each part runs in a process of its own. Seconds are those that a user waits: on a busy machine only
ratios mean something. Writes tables in Markdown on standard output.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import redirect_stderr
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from time import perf_counter

os.environ.update(OMP_NUM_THREADS="1", HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
import torch
from timed_search import PHASES, TimedSearch, replay, write_ledger
from trial_cases import Case, big, tiny, zoo

from evomerge.recipe import Recipe

ROOT = Path(__file__).parent.parent
# Of the first trials, which load and compile.
WARM = 20
# mergekit-evolve's seconds for a candidate of the tiny case, on a quiet core of another machine,
# with five patches without which it does not run. Our aim is a fifth.
EVOLVE = 1.16
AIM_EVOLVE, AIM_FORWARD, AIM_OVERHEAD = EVOLVE / 5, 3.0, 0.05
# Our seconds over the rival's.
AIMS = {("zoo", name): 0.25 for name in ("linear", "task_arithmetic", "ties")}
AIMS |= {("big", "linear"): 0.5, ("big", "ties"): 0.125}
AIM_REPLAY = 10.0
EARLY = 50


def show_tiny(options: argparse.Namespace) -> None:
    """Takes the trials of a search apart, and looks at the memory it has."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    torch.set_num_threads(1)
    case = tiny(options.folder / "search_tiny")
    with TimedSearch(case.config("ties", knots=4), options.folder / "search_run") as search:
        search.run(options.trials)
        rows, memory = search.rows[WARM:], search.memory
    whole = median(row.whole for row in rows)
    forward = median(row.seconds["forward passes"] for row in rows)
    overhead = median(row.overhead for row in rows)
    print(f"\n0.2 M parameters, 200 items, one core, {options.trials} trials, CMA-ES over TIES\n")
    print("| of a trial | ms | aim |\n|---|---|---|")
    for phase in PHASES:
        print(f"| {phase} | {1e3 * median(row.seconds[phase] for row in rows):.1f} | |")
    print(f"| all else | {1e3 * median(row.rest for row in rows):.1f} | |")
    print(
        f"| **overhead**: all but the first three | {1e3 * overhead:.1f} | {1e3 * AIM_OVERHEAD:g} |"
    )
    print(f"| **the whole trial** | {1e3 * whole:.1f} | {1e3 * AIM_EVOLVE:g} |")
    limit = AIM_FORWARD * forward + AIM_OVERHEAD
    print(f"| beside 3 × its forward passes + 50 ms | {1e3 * whole:.1f} | {1e3 * limit:.0f} |")
    print(f"\nmergekit-evolve, measured elsewhere: {EVOLVE} s, a ratio of {whole / EVOLVE:.3f}")
    early = memory[min(EARLY, len(memory)) - 1]
    print(
        f"resident after {EARLY} trials {early / 1e6:.0f} MB, at the end {memory[-1] / 1e6:.0f} MB"
    )


def show_rival(options: argparse.Namespace, name: str) -> None:
    """Candidates of several methods, ours and the rival's in turn."""
    from rivals import InMemory

    if name == "big":
        case, methods = big(options.folder / "search_big", options.layers), ("linear", "ties")
        rounds = options.big_rounds
    else:
        case, methods = zoo(options.zoo), ("linear", "task_arithmetic", "ties")
        rounds = options.rounds
    torch.set_num_threads(case.threads)
    rival = InMemory(case)
    size = sum(weight.numel() for weight in rival.weights.values())
    print(f"\n{name}: {size / 1e6:.1f} M parameters, {case.threads} threads\n")
    print("| method | theirs, s | merging | ours, s | merging | forward | ratio | aim |")
    print("|---|---|---|---|---|---|---|---|")
    for method in methods:
        print(
            rival_row(case, method, rival, rounds, options.folder),
            AIMS[name, method],
            "|",
            flush=True,
        )


def rival_row(case: Case, method: str, rival: Callable, rounds: int, folder: Path) -> str:
    """One method: seconds of whole candidates, and of merging."""
    theirs, merging = [], []
    with TimedSearch(case.config(method, "random"), folder / "search_run") as search:
        for recipe in recipes(search, 1 + rounds):
            trial = search.trial(recipe)
            began = perf_counter()
            found = rival(recipe)
            theirs.append(perf_counter() - began)
            merging.append(rival.seconds["merge"])
            agree(found, {task: trial.scores[task].value for task in case.tasks})
        rows = search.rows[1:]
    ours = median(row.whole for row in rows)
    merged, forward = (median(r.seconds[p] for r in rows) for p in ("merging", "forward passes"))
    their = median(theirs[1:])
    return (
        f"| {method} | {their:.3f} | {median(merging[1:]):.3f} | {ours:.3f} | {merged:.3f} "
        f"| {forward:.3f} | {ours / their:.2f} |"
    )


def show_commands(options: argparse.Namespace) -> None:
    """Candidates on the zoo, ours and those of two commands in turn."""
    from rivals import by_commands

    torch.set_num_threads(1)
    case = zoo(options.zoo)
    print("\n| method | mergekit-yaml, s | lm_eval, s | ours, s | ratio |\n|---|---|---|---|---|")
    for method in ("linear", "ties"):
        costs = []
        with TimedSearch(case.config(method, "random"), options.folder / "search_run") as search:
            for recipe in recipes(search, 1 + options.command_rounds):
                trial = search.trial(recipe)
                *cost, found = by_commands(case, recipe, options.folder / "search_commands")
                costs.append([each.wall for each in cost])
                agree(found, {task: trial.scores[task].value for task in case.tasks})
            ours = median(row.whole for row in search.rows[1:])
        merging, scoring = (median(each) for each in zip(*costs, strict=True))
        ratio = ours / (merging + scoring)
        print(
            f"| {method} | {merging:.2f} | {scoring:.2f} | {ours:.3f} | {ratio:.3f} |", flush=True
        )


def show_replay(options: argparse.Namespace) -> None:
    """Seconds until recorded searches go on, by optimizer."""
    case = tiny(options.folder / "search_tiny")
    print(f"\n{options.replayed} recorded trials\n")
    print("| optimizer | dimensions | reading the ledger, s | replaying, s | both | aim |")
    print("|---|---|---|---|---|---|")
    for name in ("random", "tpe", "cma"):
        config, run = case.config("ties", name, knots=4), options.folder / "search_replayed"
        dimensions = write_ledger(config, run, options.replayed)
        read, replayed = replay(config, run, options.replayed)
        print(
            f"| {name} | {dimensions} | {read:.2f} | {replayed:.2f} | {read + replayed:.2f} "
            f"| {AIM_REPLAY:g} |",
            flush=True,
        )
        shutil.rmtree(run)


def recipes(search: TimedSearch, count: int) -> Sequence[Recipe]:
    """Different ones, all over the space."""
    draw, template = np.random.default_rng(0), search.prepared.template
    size = len(template.space)
    return [template.fill(template.space.decode(draw.random(size))) for _ in range(count)]


def agree(theirs: dict[str, float], ours: dict[str, float]) -> None:
    """Ends the benchmark where the two sides do not score the same model."""
    if any(abs(theirs[task] - ours[task]) > 0.02 for task in ours):
        raise SystemExit(f"the two disagree, {theirs} and {ours}: the benchmark is void")


def quietly(work: Callable[[], None]) -> None:
    """Without the remarks and bars of the libraries."""
    from evomerge.cli.running import hush_libraries

    hush_libraries()
    with open(os.devnull, "w") as nowhere, redirect_stderr(nowhere):
        work()


def main() -> None:
    """Prints the tables."""
    options = _options()
    parts: dict[str, Callable[[], None]] = {
        "tiny": partial(show_tiny, options),
        "zoo": partial(show_rival, options, "zoo"),
        "commands": partial(show_commands, options),
        "replay": partial(show_replay, options),
        "big": partial(show_rival, options, "big"),
    }
    for name in [*options.parts, *(["big"] if options.big else [])]:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            pool.submit(quietly, parts[name]).result()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = ["tiny", "zoo", "commands", "replay"]
    parser.add_argument("--parts", nargs="*", default=names, choices=names)
    parser.add_argument("--big", action="store_true", help="also at 0.5 B parameters: 14 GB")
    parser.add_argument("--layers", type=int, default=24, help="of the big models")
    parser.add_argument("--trials", type=int, default=500, help="of the tiny search")
    parser.add_argument("--rounds", type=int, default=15, help="of each method on the zoo")
    parser.add_argument("--big-rounds", type=int, default=2, help="of each method at 0.5 B")
    parser.add_argument("--command-rounds", type=int, default=3)
    parser.add_argument("--replayed", type=int, default=2000, help="trials of the replay")
    parser.add_argument("--zoo", type=Path, default=ROOT / "demo" / "zoo")
    parser.add_argument("--folder", type=Path, default=ROOT / ".bench", help="for models and runs")
    options = parser.parse_args()
    options.folder, options.zoo = options.folder.absolute(), options.zoo.absolute()
    return options


if __name__ == "__main__":
    main()
