"""Models made on the spot: trained ones to search with, random ones to test with.

    zoo = evomerge.zoo.build("demo/zoo")       # minutes the first time, then at once
    zoo.base, zoo.experts["sums"], zoo.adapters["sums"], zoo.data("sums", "holdout")

``tasks`` and ``text``: what the models are taught, and its splits. ``training`` and ``courses``:
how. ``family``: which models there are. ``building``: how they come to be whole or not at all.
``scoring`` measures them. Nothing heavy is imported before a name is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evomerge.zoo.building import build
    from evomerge.zoo.courses import Budget
    from evomerge.zoo.layout import Zoo

_HOMES = {
    "Budget": "evomerge.zoo.courses",
    "Zoo": "evomerge.zoo.layout",
    "build": "evomerge.zoo.building",
}

__all__ = ["Budget", "Zoo", "build"]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'evomerge.zoo' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)
