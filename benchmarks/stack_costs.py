"""What a proposal of the genetic algorithm costs, for stacks of layers of deep models.

    python benchmarks/stack_costs.py

Two models of 32 layers, stacks of up to 48, scales: as with models of 7 B parameters. For each
encoding, seconds of processor time a proposal after 100, 300 and 1000 trials (the mean of the last
50, some of which are drawn again and again), and to replay 2,000 trials. The loss counts layers:
nothing is scored. Wants a minute; writes a table in Markdown on standard output.
"""

from __future__ import annotations

import os
from statistics import fmean
from time import process_time

os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

from evomerge.goals import Outcome
from evomerge.optimizers.base import Optimizer, Setup, make_optimizer
from evomerge.recipe import ModelReference
from evomerge.space import Space
from evomerge.stacks.code import Code
from evomerge.stacks.edit_code import EditCode
from evomerge.stacks.ground import Ground, Source
from evomerge.stacks.indicator_code import IndicatorCode
from evomerge.stacks.path_code import PathCode
from evomerge.trial import Point

DEPTH, DEEPEST = 32, 48
TOLD = (100, 300, 1000)
REPLAYED = 2_000
LAST = 50


class Costly:
    """A search of the genetic algorithm, whose losses count the layers that are not model b's."""

    def __init__(self, code: Code) -> None:
        self.code, self.space = code, Space(code.dimensions)
        self.points: list[Point] = []
        self.optimizer = self.new()

    def new(self) -> Optimizer:
        """The algorithm, which was told the anchor."""
        setup = Setup(self.space, 0, settle=self.settled, codes=(self.code,))
        optimizer, ground = make_optimizer({"name": "ga"}, setup), self.code.ground
        anchor = self.code.encode(ground.whole(ground.middle)) or {}
        point = self.settled({**self.space.middle(), **anchor})
        optimizer.warm(point, self.outcome(point))
        return optimizer

    def settled(self, point: Point) -> Point:
        """With what the stack does not depend on in the middle."""
        return {**self.space.middle(), **self.code.read(point)}

    def outcome(self, point: Point) -> Outcome:
        """The share of the layers of model b that are not where they are there."""
        stack, wanted = self.code.decode(point), self.code.ground.between("b")
        right = sum(
            hop.layer == other.layer and hop.model == other.model
            for hop, other in zip(stack[1:], wanted, strict=False)
        )
        return Outcome((1 - right / len(wanted),))

    def seconds(self, told: int) -> float:
        """Goes on until so many trials were told: the mean of the last proposals."""
        asks = []
        for number in range(len(self.points), told):
            began = process_time()
            point = self.optimizer.ask(number)
            asks.append(process_time() - began)
            self.points.append(self.settled(point))
            self.optimizer.tell(number, self.points[-1], self.outcome(self.points[-1]))
        return fmean(asks[-LAST:])

    def replay(self) -> None:
        """Tells all trials to a new optimizer."""
        optimizer = self.new()
        for number, point in enumerate(self.points):
            optimizer.recall(number, point)
            optimizer.tell(number, point, self.outcome(point))


def main() -> None:
    """Prints a row for each encoding: seconds of an ask at 100, 300 and 1000, and of a replay."""
    models = {alias: Source(ModelReference(alias), DEPTH) for alias in ("a", "b")}
    ground = Ground(models, "a", (1, 1), (2, DEEPEST), (0.7, 1.4))
    codes = {
        "edits": EditCode(ground, "stack", 4, 2),
        "indicator": IndicatorCode(ground, "stack", 2),
        "path": PathCode(ground, "stack"),
    }
    print("| encoding | dimensions | ask at 100, s | at 300 | at 1000 | replay 2,000, s |")
    print("|---|---|---|---|---|---|")
    for name, code in codes.items():
        search = Costly(code)
        asks = [search.seconds(told) for told in TOLD]
        search.seconds(REPLAYED)
        began = process_time()
        search.replay()
        cells = " | ".join(f"{each:.4f}" for each in asks)
        dimensions = len(code.dimensions)
        print(f"| {name} | {dimensions} | {cells} | {process_time() - began:.1f} |", flush=True)


if __name__ == "__main__":
    main()
