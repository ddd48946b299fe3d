"""The search itself. It knows no models, files of weights or devices.

- ``watching``: who is shown what goes on
- ``running``: scores recipes into a study, each of them once
- ``probe``, ``probing``: a few items before all of them, which tell dead candidates
- ``budget``: when a search ends
- ``loop``: ask, fill, score, record, tell
"""

from __future__ import annotations

from evomerge.searching.budget import Budget
from evomerge.searching.loop import Search, warm_up
from evomerge.searching.probe import Probe
from evomerge.searching.probing import Prober, Probing
from evomerge.searching.running import Runner, Start, run_starts
from evomerge.searching.watching import Unwatched, Watcher

__all__ = [
    "Budget",
    "Probe",
    "Prober",
    "Probing",
    "Runner",
    "Search",
    "Start",
    "Unwatched",
    "Watcher",
    "run_starts",
    "warm_up",
]
