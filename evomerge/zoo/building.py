"""Finds a zoo or builds it, and touches nobody else's folder."""

from __future__ import annotations

import os
import platform
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from evomerge.checkpoint.output import lock
from evomerge.errors import MissingExtra, OutputError
from evomerge.zoo.courses import Budget
from evomerge.zoo.crew import Progress
from evomerge.zoo.layout import FORMAT, Origin, Zoo, is_whole, write_manifest, write_mark

_LEFTOVER = re.compile(r"\..+\.[0-9a-f]{8}\.tmp")


def build(
    folder: str | os.PathLike[str],
    *,
    seed: int = 0,
    budget: Budget | None = None,
    progress: Progress | None = None,
) -> Zoo:
    """Trains the family in ``folder``, or what is missing of it; in about 80 s on two cores.

    One seed gives the same bits on one type of machine, however many cores it has and whatever
    was interrupted on the way. A whole zoo is found at once. Nothing is ever deleted but what an
    interrupted build left half done.

    Args:
        folder: a zoo of this seed and budget, a part of one, an empty folder or a new one.
        seed: of all randomness.
        budget: how long to train; the default gives models that are worth merging.
        progress: called ten times a second with the names of what is being built and the share
            of the whole that is done, in [0, 1]. What it raises ends the build.

    Raises:
        OutputError: the folder holds something else, or cannot be written.
        MissingExtra: peft is not installed.
    """
    budget = budget or Budget()
    zoo = Zoo(Path(folder))
    origin = {"format": FORMAT, "seed": seed, "budget": asdict(budget)}
    if is_whole(zoo, origin):
        return zoo
    if find_spec("peft") is None:
        raise MissingExtra("the zoo", "peft", "zoo")
    from evomerge.zoo.assembling import assemble

    with _claimed(zoo, origin):
        assemble(zoo, seed, budget, progress or _ignore)
        libraries = {name: version(name) for name in ("torch", "transformers", "peft")}
        write_manifest(zoo, origin, {"python": platform.python_version(), **libraries})
    return zoo


def _ignore(stage: str, done: float) -> None:
    """Nobody watches."""


@contextmanager
def _claimed(zoo: Zoo, origin: Origin) -> Iterator[None]:
    """Makes the folder, marks it as this zoo, and keeps other builds out of it."""
    try:
        zoo.folder.mkdir(parents=True, exist_ok=True)
        if not zoo.mark.exists():
            write_mark(zoo, origin)
        descriptor = os.open(zoo.mark, os.O_RDWR)
    except OSError as error:
        raise OutputError(
            f"{zoo.folder}: cannot be written: {error.strerror}; name a folder you can write"
        ) from error
    try:
        if not lock(descriptor):
            raise OutputError(f"{zoo.folder}: is being built by another process; wait for it")
        _remove_leftovers(zoo)
        yield
    finally:
        os.close(descriptor)


def _remove_leftovers(zoo: Zoo) -> None:
    """Removes the half-written members of a build that was killed; nobody writes them now."""
    for parent in (zoo.folder, *(adapter.parent for adapter in zoo.adapters.values())):
        for path in parent.glob(".*.tmp"):
            if _LEFTOVER.fullmatch(path.name):
                shutil.rmtree(path, ignore_errors=True)
