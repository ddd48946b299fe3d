"""What each member of the family is taught, and for how long.

Merging is only worth searching where the experts share what the base knows and pull apart from
there. So the base is stopped half-way to all three skills: with none of them its experts cannot be
joined by any blend, and with all of them there is nothing to gain. The experts then go far enough
to lose the other skills, which spoils any even-handed merge, and not so far that nothing fits.
`benchmarks/zoo.py` measures that this came out.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Budget:
    """How much is spent on the family. The defaults give the real one, in about 80 s on 2 cores.

    Attributes:
        base_steps: at most so many for the base and its sibling.
        competence: their mean accuracy, in [0, 1], at which they stop.
        expert_steps: for each expert.
        adapter_steps: for each adapter.
        bare_steps: for the two that only have to be there: deeper, other vocabulary.
        rows: items in a step.
    """

    base_steps: int = 400
    competence: float = 0.5
    expert_steps: int = 100
    adapter_steps: int = 40
    bare_steps: int = 8
    rows: int = 128


@dataclass(frozen=True)
class Course:
    """One stretch of training.

    Attributes:
        skills: what items are drawn from, a mix of those named.
        steps: how many, at most.
        rows: items in a step; none if 0.
        windows: windows of text in a step; none if 0.
        rate: the learning rate of AdamW after its warm-up.
        competence: the mean accuracy in [0, 1] that ends it; never, if None.
    """

    skills: tuple[str, ...]
    steps: int
    rows: int
    windows: int
    rate: float
    competence: float | None = None
