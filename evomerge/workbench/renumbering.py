"""Where tensors land in a model of other layers, told by where they landed in one like it.

What transformers does to the tensors of one layer it does to those of any. A tensor counts as known
if one of its name, but for the layer, and of its shape has been seen to land, and if all of them
landed alike. Whether the places that follow from this are there, and are filled, is then looked up
in the other model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from evomerge.checkpoint.tensors import TensorInfo
from evomerge.families import Family
from evomerge.workbench.landing import Landing, Run

# By a tensor's name without its layer, and its shape: its runs, into places without their layer;
# None if it depends on the layer.
Habits = Mapping[tuple[str, tuple[int, ...]], Sequence[Run] | None]


def habits_of(landing: Landing, infos: Sequence[TensorInfo], family: Family) -> Habits:
    """What a landing says of tensors of any layer."""
    habits: dict[tuple[str, tuple[int, ...]], Sequence[Run] | None] = {}
    for info in infos:
        key = family.unnumbered(info.name), info.shape
        layer = family.layer_of(info.name)
        runs = [_unnumbered(run, family) for run in landing[info.name]]
        stays = all(family.layer_of(run.target) == layer for run in landing[info.name])
        known = runs if stays else None
        habits[key] = known if habits.setdefault(key, known) == known else None
    return habits


def landing_by(habits: Habits, infos: Sequence[TensorInfo], family: Family) -> Landing | None:
    """Where tensors land if they have these habits; None if one of them is not known."""
    landing = {}
    for info in infos:
        runs = habits.get((family.unnumbered(info.name), info.shape))
        if runs is None:
            return None
        layer = family.layer_of(info.name)
        landing[info.name] = [
            run if layer is None else replace(run, target=family.numbered(run.target, layer))
            for run in runs
        ]
    return landing


def together(one: Habits, other: Habits) -> Habits:
    """What is known from both; what they contradict each other in is not known."""
    both = dict(one)
    for key, runs in other.items():
        both[key] = runs if both.setdefault(key, runs) == runs else None
    return both


def _unnumbered(run: Run, family: Family) -> Run:
    root = run.target.removesuffix(family.bare(run.target))
    return replace(run, target=root + family.unnumbered(run.target))
