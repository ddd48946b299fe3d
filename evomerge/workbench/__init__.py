"""Models resident in memory, and one live model that becomes every candidate of a search.

- ``settings``: where and how candidates are built
- ``memory``: what that will take, and whether it fits
- ``aligned``: arrays laid out as torch would
- ``resident``: a source whose tensors stay in memory
- ``aligning``: models that recipes align, each way once for all candidates
- ``adapting``: candidates that are the base with a merged adapter in it
- ``hollow``: a folder as the merge would write it, without its weights
- ``landing``: where transformers puts each tensor of such a folder
- ``renumbering``: the same for a model of other layers
- ``shells``: models without weights, as transformers makes them
- ``places``: the parameters of a model, with memory of their own or a source's
- ``live``: the model that becomes each candidate
- ``mould``: loads the first of a kind of candidates, and casts the others
- ``kinds``: when candidates are alike but for their weights, or but for their layers
- ``changes``: which tensors of a candidate are not there yet
- ``bench``: the workbench itself
"""

from __future__ import annotations

from evomerge.workbench.aligning import Aligning
from evomerge.workbench.bench import Workbench
from evomerge.workbench.memory import MemoryPlan, memory_plan
from evomerge.workbench.settings import Settings

__all__ = ["Aligning", "MemoryPlan", "Settings", "Workbench", "memory_plan"]
