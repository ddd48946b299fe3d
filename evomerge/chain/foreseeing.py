"""Every stage of a chain, looked at before the first has run.

A model in the middle of a stage's space stands in for what the stage will find: whether the next
stages fit can be told from its headers. Where the space holds models of several shapes, such as
stacks of more and fewer layers, what stands in is one of them, and a stage that does not fit it
may still fit the winner.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Generic, TypeVar

from evomerge.config.chained import ChainConfig
from evomerge.config.preparing import prepare
from evomerge.config.reading import Located
from evomerge.errors import EvomergeError
from evomerge.merging.folder import documents_of, write_merge
from evomerge.merging.plan import Plan
from evomerge.merging.recipes import plan_of
from evomerge.template import Template
from evomerge.workbench.hollow import write_hollow

T = TypeVar("T")
# Reads a stage, and gives what is wanted of it, and its template.
Look = Callable[[Located], tuple[T, Template]]
# Makes the model that stands in for a winner.
Make = Callable[[Plan, Path], None]

# Shares of the way through each range: where the models of a space may differ in shape.
PLACES = (0.5, 0.1, 0.9)


@dataclass(frozen=True)
class Foreseen(Generic[T]):
    """A stage that has not run.

    Attributes:
        name: of the stage.
        found: what was wanted of it; None if that cannot be told before the stages before it ran.
        remark: why it cannot; empty if it can.
    """

    name: str
    found: T | None
    remark: str = ""


def hollow(plan: Plan, out: Path) -> None:
    """A stand-in that has headers and no weights: no model is read, no space taken."""
    out.mkdir()
    write_hollow(plan, documents_of(plan), out)


def whole(plan: Plan, out: Path) -> None:
    """A stand-in that can be scored."""
    write_merge(plan, out)


@contextmanager
def foreseen(
    config: ChainConfig, look: Look[T], make: Make = hollow, scratch: Path | None = None
) -> Iterator[Iterator[Foreseen[T]]]:
    """The stages, one after the other; the models that stand in are there until the end.

    Args:
        config: the chain.
        look: what is wanted of each stage.
        make: what stands in.
        scratch: where that is written; by default where temporary files are.

    Raises:
        EvomergeError: while the stages are gone through: one does not fit.
    """
    with TemporaryDirectory(prefix="evomerge-", dir=scratch) as folder:
        yield _stages(config, look, make, Path(folder))


def check_stages(config: ChainConfig) -> tuple[str, ...]:
    """Sees whether every stage can be prepared; gives what cannot be told yet.

    Raises:
        EvomergeError: a stage cannot; the message names it.
    """

    def look(located: Located) -> tuple[None, Template]:
        return None, prepare(located).template

    with foreseen(config, look) as stages:
        return tuple(each.remark for each in stages if each.remark)


def _stages(config: ChainConfig, look: Look[T], make: Make, folder: Path) -> Iterator[Foreseen[T]]:
    winners: dict[str, str] = {}
    unsure: list[str] = []
    for name in config.stages:
        try:
            found, template = look(config.stage(name, winners))
        except EvomergeError as error:
            message = str(error).replace(f"{folder}{os.sep}", "")  # what stands in has its name
            if not unsure:
                raise type(error).__new__(type(error), message) from error
            yield Foreseen(
                name,
                None,
                f"stage {name} can be checked only when {unsure[0]} has its winner, which may "
                f"have another shape than the model that stands in for it: {message}",
            )
            return
        yield Foreseen(name, found)
        if name != config.last:
            plans = _plans(template)
            make(plans[0], folder / name)
            winners[name] = str(folder / name)
            unsure += [name] if _differ(plans) else []


def _plans(template: Template) -> list[Plan]:
    size = len(template.space)
    return [plan_of(template.fill(template.space.decode([at] * size))) for at in PLACES]


def _differ(plans: Sequence[Plan]) -> bool:
    """Whether the models of these plans have tensors of other names or shapes."""
    shapes = [{t.info.name: t.info.shape for t in plan.tensors} for plan in plans]
    return any(each != shapes[0] for each in shapes)
