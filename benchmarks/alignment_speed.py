"""What it costs to align two models of half a billion parameters, and where the time goes.

    python benchmarks/alignment_speed.py [--folder DIR] [--layers 24]

Strangers are two models of random weights; siblings are one of them and what was tuned from it.
`evomerge align` runs in a process of its own, whose functions are wrapped from here: a second
counts for the innermost of them. Writes tables in Markdown on standard output.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from big_models import find_family
from processes import Cost, run

# What is counted, and the functions in which it happens, where they are called.
PARTS = {
    "Gram products": ("evomerge.alignment.matching:grams",),
    "assignments": ("evomerge.alignment.matching:best_assignment",),
    "the certificate": ("evomerge.alignment.matching:is_certain",),
    "heads and gauges": (
        "evomerge.alignment.matching:attention_of",
        "evomerge.alignment.matching:_best_heads",
        "evomerge.alignment.balancing:attention_of",
        "evomerge.alignment.balancing:balancing",
    ),
    "moving": ("evomerge.alignment.matching:moved", "evomerge.alignment.writing:moved"),
    "reading": ("evomerge.checkpoint.reader:Checkpoint.load",),
    "writing": ("evomerge.checkpoint.writer:FolderWriter.write",),
    "cosines before and after": ("evomerge.aligners.base:fits",),
    "the check": ("evomerge.alignment.writing:logits_in",),
}
REST = "start-up and the rest"


@dataclass
class Clock:
    """Seconds by the clock and of processors, for each part; a part inside another pauses it."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(lambda: [0.0, 0.0]))
    running: list[str] = field(default_factory=lambda: [REST])
    # Both clocks began with the process.
    since: tuple[float, float] = (time.time() - time.process_time(), 0.0)

    def switch(self) -> None:
        """Books what has passed on the part that runs."""
        now = time.time(), time.process_time()
        for at, (then, this) in enumerate(zip(self.since, now, strict=True)):
            self.seconds[self.running[-1]][at] += this - then
        self.since = now

    def timed(self, part: str, function: Callable[..., object]) -> Callable[..., object]:
        """The same function, its time counted."""

        def call(*args: object, **kwargs: object) -> object:
            self.switch()
            self.running.append(part)
            try:
                return function(*args, **kwargs)
            finally:
                self.switch()
                self.running.pop()

        return call

    def wrap(self) -> None:
        """Wraps all that is in `PARTS`."""
        for part, places in PARTS.items():
            for module, _, path in (place.partition(":") for place in places):
                *owners, name = path.split(".")
                owner = importlib.import_module(module)
                for each in owners:
                    owner = getattr(owner, each)
                setattr(owner, name, self.timed(part, getattr(owner, name)))


def align_here(source: str, anchor: str, out: Path, result: Path) -> None:
    """What ``evomerge align`` does, in this process; its table and the seconds go to a file."""
    from evomerge.cli.align import align

    clock = Clock()
    clock.wrap()
    with redirect_stdout(StringIO()) as told:
        align(source, out, anchor, force=True)
    clock.switch()
    result.write_text(json.dumps({"told": told.getvalue(), "seconds": clock.seconds}))


def measured(source: Path, anchor: Path, folder: Path) -> tuple[Cost, dict[str, list[float]], str]:
    """What a whole process took, its parts, and what it printed."""
    result = folder / "result.json"
    cost = run([sys.executable, __file__, "--pair", source, anchor, folder / "aligned", result])
    found = json.loads(result.read_text())
    return cost, found["seconds"], found["told"]


def main() -> None:
    """Parses the command line, and measures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path(".bench"))
    parser.add_argument("--layers", type=int, default=24)
    parser.add_argument("--pair", nargs=4, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.pair:
        source, anchor, out, result = chosen.pair
        align_here(source, anchor, Path(out), Path(result))
        return
    os.environ["HF_HUB_OFFLINE"] = "1"
    chosen.folder.mkdir(parents=True, exist_ok=True)
    first, tuned = find_family(chosen.folder / "pair", layers=chosen.layers, experts=1)
    (stranger,) = find_family(chosen.folder / "stranger", layers=chosen.layers, experts=0, seed=1)
    pairs = {"strangers": (stranger, first), "siblings": (tuned, first)}
    costs = {name: measured(*pair, chosen.folder) for name, pair in pairs.items()}
    titles = [f"{name}, s | processors, s" for name in costs]
    _say(f"| | {' | '.join(titles)} |\n|---|{'---|' * 2 * len(costs)}")
    for part in (*PARTS, REST):
        seconds = [each[1].get(part, (0.0, 0.0)) for each in costs.values()]
        _say(f"| {part} | {' | '.join(f'{wall:.1f} | {cpu:.1f}' for wall, cpu in seconds)} |")
    whole = [each[0] for each in costs.values()]
    _say(f"| all of it | {' | '.join(f'{each.wall:.1f} | {each.cpu:.1f}' for each in whole)} |")
    _say(f"| at the peak, GB | {' | | '.join(f'{each.peak / 1e9:.2f}' for each in whole)} | |")
    for name, (_, _, told) in costs.items():
        _say(f"\n{name}:\n\n{told}")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
