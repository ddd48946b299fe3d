"""Makes the members of a zoo that are missing, each whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch

from evomerge.checkpoint.output import Workplace
from evomerge.zoo.courses import Budget
from evomerge.zoo.crew import Job, Progress, Tick, work_off
from evomerge.zoo.family import Member, Workshop, members
from evomerge.zoo.layout import Zoo
from evomerge.zoo.models import without_remarks

# A tenth of a training is Python, of which there is one at a time: more would wait for each other.
MOST_WORKERS = 4


def assemble(zoo: Zoo, seed: int, budget: Budget, progress: Progress) -> None:
    """Makes what is missing. What ``progress`` raises ends it; nothing is left half done."""
    workshop = Workshop(zoo, seed, budget)
    with without_remarks(), _same_threads():
        work_off(_jobs(workshop), progress, workers=min(os.cpu_count() or 1, MOST_WORKERS))


@contextmanager
def _same_threads() -> Iterator[None]:
    """Leaves torch's number of threads as it was: the trainings change it for later threads too."""
    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _jobs(workshop: Workshop) -> list[Job]:
    """To build what is missing."""
    jobs: dict[str, Job] = {}
    for member in members():
        if not (workshop.zoo.folder / member.name).is_dir():
            after = jobs.get(workshop.zoo.base.name) if member.of_base else None
            work = partial(_build_member, workshop, member)
            jobs[member.name] = Job(member.name, member.effort, work, after)
    return list(jobs.values())


def _build_member(workshop: Workshop, member: Member, tick: Tick) -> None:
    place = Workplace(workshop.zoo.folder / member.name)
    try:
        member.make(workshop, place.folder, tick)
        place.publish(force=False)
    finally:
        place.discard()
