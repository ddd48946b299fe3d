"""Merging, side by side with mergekit and with the limit of reading and writing.

    python benchmarks/merge.py [--rounds N] [--slow-rounds N] [--methods a,b] [--folder DIR]

Whole processes, in turn, on about 0.5 billion bfloat16 parameters, base and three models; then the
same with twice the layers, for memory. Writes a table in Markdown on standard output.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from big_models import find_family
from processes import Cost, middle, run

PARAMETERS = {
    "passthrough": "",
    "linear": "{weight: 0.4}",
    "slerp": "",
    "nuslerp": "{weight: 0.4}",
    "multislerp": "{weight: 0.4}",
    "task_arithmetic": "{weight: 0.4}",
    "model_stock": "",
    "karcher": "",
    "dare_linear": "{weight: 0.4, density: 0.5}",
    "dare_ties": "{weight: 0.4, density: 0.5}",
    "ties": "{weight: 0.4, density: 0.5}",
    "breadcrumbs": "{weight: 0.4, density: 0.5}",
    "breadcrumbs_ties": "{weight: 0.4, density: 0.5}",
    "della": "{weight: 0.4, density: 0.5}",
    "della_linear": "{weight: 0.4, density: 0.5}",
    "sce": "",
    "nearswap": "",
    "arcee_fusion": "",
    "ram": "",
    "ramplus_tl": "",
}
SHARED = {"slerp": "{t: 0.3}", "nearswap": "{t: 0.001}", "sce": "{select_topk: 0.5}"}
WITHOUT_BASE = {"passthrough", "linear", "karcher", "multislerp"}
MODELS = {"passthrough": 1, "slerp": 1, "nuslerp": 2, "nearswap": 1, "arcee_fusion": 1}
SLOW = {"karcher", "dare_linear", "dare_ties", "ties", "breadcrumbs", "breadcrumbs_ties"}
SLOW |= {"della", "della_linear", "sce", "arcee_fusion", "ram", "ramplus_tl"}
# What the project holds itself to: our seconds over mergekit's, and net of start-up over the limit.
RATIO = dict.fromkeys(["passthrough", "linear", "slerp", "nuslerp", "task_arithmetic"], 0.40)
RATIO |= {"model_stock": 0.40, "karcher": 0.06, "dare_linear": 0.12, "dare_ties": 0.12}
RATIO |= {"ties": 0.055, "breadcrumbs": 0.055, "della": 0.12}
LIMIT = {name: 3.0 for name in PARAMETERS if name not in SLOW | {"nearswap"}} | {"karcher": 3.0}
LIMIT |= {"ties": 8.0, "breadcrumbs": 8.0}


def main() -> None:
    """Measures and prints."""
    options = _options()
    family = find_family(options.folder / "family")
    floor = Floor(family[1] / "model.safetensors", options.folder)
    _say(
        f"limit: reads {floor.read / 1e9:.1f} GB/s, writes {floor.write / 1e9:.1f} GB/s in the "
        f"page cache; {os.cpu_count()} cores\n"
    )
    _say(
        "| method | mergekit, s | ours, s | ratio | aim | over the limit | aim "
        "| peak, MB | theirs |"
    )
    _say("|---|---|---|---|---|---|---|---|---|")
    start_up = _start_up(options.folder)
    for method in options.methods:
        recipe = _recipe(options.folder, method, family)
        rounds = options.slow_rounds if method in SLOW else options.rounds
        ours, theirs = _compare(options, recipe, rounds)
        size = (family[0] / "model.safetensors").stat().st_size
        limit = floor.seconds(size * len(_inputs(method, family)), size)
        net = (ours.wall - start_up) / limit
        ratio = ours.wall / theirs.wall if theirs else float("nan")
        _say(
            f"| {method} | {theirs.wall if theirs else 0:.2f} | {ours.wall:.2f} | {ratio:.3f} | "
            f"{_aim(RATIO, method)} | {net:.2f} | {_aim(LIMIT, method)} | {ours.peak / 1e6:.0f} | "
            f"{theirs.peak / 1e6 if theirs else 0:.0f} |"
        )
    _say(f"\nstart-up: {start_up:.2f} s (the merge of a model of a few thousand parameters)")
    if options.twice:
        _twice_the_layers(options)


class Floor:
    """The limit: the seconds that reading and writing the same bytes take, from the page cache."""

    def __init__(self, sample: Path, folder: Path) -> None:
        """Measures both speeds, in bytes a second: the best of five."""
        self.read = max(_read_speed(sample) for _ in range(5))
        self.write = max(_write_speed(sample, folder / "written") for _ in range(5))

    def seconds(self, read: int, written: int) -> float:
        """The least time in which so many bytes are read and written."""
        return read / self.read + written / self.write


def _read_speed(path: Path) -> float:
    buffer, done = bytearray(1 << 20), 0
    started = time.perf_counter()
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            done += count
    return done / (time.perf_counter() - started)


def _write_speed(sample: Path, target: Path) -> float:
    chunk, size = bytes(1 << 20), sample.stat().st_size
    target.unlink(missing_ok=True)
    started = time.perf_counter()
    with target.open("wb", buffering=0) as file:
        for _ in range(size // len(chunk)):
            file.write(chunk)
    speed = size / (time.perf_counter() - started)
    target.unlink()
    return speed


def _start_up(folder: Path) -> float:
    """The seconds of a merge that has next to nothing to merge."""
    small = folder / "small"
    if not small.exists():
        make = (
            f"from evomerge.zoo.random_models import *; random_model(Path({str(small)!r}), 'llama')"
        )
        run([sys.executable, "-c", make])
    recipe = folder / "small.yaml"
    recipe.write_text(
        f"merge_method: linear\nmodels:\n  - model: {small}\n    parameters: {{weight: 1}}\n"
    )
    return middle([run(_our_command(folder, recipe)) for _ in range(5)]).wall


def _compare(options: argparse.Namespace, recipe: Path, rounds: int) -> tuple[Cost, Cost | None]:
    """Both programs in turn."""
    ours: list[Cost] = []
    theirs: list[Cost] = []
    run(_our_command(options.folder, recipe))
    for _ in range(rounds):
        if not options.alone:
            shutil.rmtree(options.folder / "theirs", ignore_errors=True)
            command = [_tool("mergekit-yaml"), recipe, options.folder / "theirs", "--quiet"]
            theirs.append(run(command))
            shutil.rmtree(options.folder / "theirs")
        ours.append(run(_our_command(options.folder, recipe)))
    return middle(ours), middle(theirs) if theirs else None


def _our_command(folder: Path, recipe: Path) -> list[str | Path]:
    # A fresh file each time, as the limit writes one.
    shutil.rmtree(folder / "ours", ignore_errors=True)
    return [_tool("evomerge"), "merge", recipe, folder / "ours"]


def _twice_the_layers(options: argparse.Namespace) -> None:
    _say("\n| method | peak at 24 layers, MB | at 48, MB |\n|---|---|---|")
    peaks = {}
    for layers in (24, 48):
        folder = options.folder / ("family" if layers == 24 else "twice")
        family = find_family(folder, layers=layers)
        for method in options.methods:
            recipe = _recipe(options.folder, method, family)
            peaks[method, layers] = run(_our_command(options.folder, recipe)).peak / 1e6
    for method in options.methods:
        _say(f"| {method} | {peaks[method, 24]:.0f} | {peaks[method, 48]:.0f} |")


def _inputs(method: str, family: Sequence[Path]) -> list[Path]:
    experts = list(family[1 : 1 + MODELS.get(method, len(family) - 1)])
    return experts if method in WITHOUT_BASE else [family[0], *experts]


def _recipe(folder: Path, method: str, family: Sequence[Path]) -> Path:
    lines = [f"merge_method: {method}", "dtype: bfloat16"]
    if method not in WITHOUT_BASE:
        lines.append(f"base_model: {family[0]}")
    if method in SHARED:
        lines.append(f"parameters: {SHARED[method]}")
    lines.append("models:")
    for path in _inputs(method, family):
        of_expert = path != family[0] and PARAMETERS[method]
        lines.append(f"  - model: {path}")
        lines += [f"    parameters: {PARAMETERS[method]}"] if of_expert else []
    recipe = folder / f"{method}.yaml"
    recipe.write_text("\n".join(lines) + "\n")
    return recipe


def _tool(name: str) -> Path:
    return Path(sys.executable).parent / name


def _aim(aims: dict[str, float], method: str) -> str:
    return f"{aims[method]:g}" if method in aims else ""


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="of the fast methods")
    parser.add_argument(
        "--slow-rounds", type=int, default=1, help="of those that take mergekit long"
    )
    parser.add_argument("--methods", type=lambda text: text.split(","), default=list(PARAMETERS))
    parser.add_argument(
        "--folder", type=Path, default=Path(".bench"), help="for models and results"
    )
    parser.add_argument("--alone", action="store_true", help="without mergekit")
    parser.add_argument("--twice", action="store_true", help="also the memory at twice the layers")
    return parser.parse_args()


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
