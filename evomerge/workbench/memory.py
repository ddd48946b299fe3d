"""What a search will hold in memory, and whether the models fit there beside it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from evomerge.checkpoint.adapter import Adapted
from evomerge.checkpoint.reader import Checkpoint
from evomerge.checkpoint.source import Source
from evomerge.checkpoint.tensors import TensorInfo
from evomerge.checkpoint.with_vocabulary import WithVocabulary
from evomerge.dtypes import FLOAT32
from evomerge.merging.alignment import as_merged
from evomerge.merging.folder import output_bytes
from evomerge.merging.models import open_references, with_sources
from evomerge.merging.plan import Plan, TensorPlan, plan_merge
from evomerge.recipe import AnyRecipe, ModelReference, Recipe
from evomerge.workbench.adapting import Adapting, Candidate
from evomerge.workbench.aligning import aligned_bytes
from evomerge.workbench.settings import Settings

# Known of one model's tensor: how often each magnitude occurs, some 20,000 of 8 bytes, and answers.
SURVEY_BYTES = 200_000
# Python, torch, transformers, tokenizers, and the blocks at hand.
PROCESS_BYTES = 1 << 30
# Of what is free, this share is left to forward passes and to other programs.
LEFT_FREE = 0.15
# In the names of a layer's experts, which transformers makes one tensor of.
EXPERTS = ".experts."

_GB = 1e9

Opened = Mapping[ModelReference, Checkpoint | Adapted]


@dataclass(frozen=True)
class MemoryPlan:
    """Bytes of main memory.

    Attributes:
        sources: of all models, adapters applied, and embeddings in a new vocabulary; a model that
            is aligned counts once more for each way.
        model: of the live model; 0 where it is on another device.
        surveys: of what is remembered of the sources.
        process: of the program itself.
        free: what may still be taken, by the system and by limits of the container.
        device: where the live model is.
        resident: whether the sources are held in memory.
        asked: whether ``resident`` was the user's wish.
        shared: of the live model, what is in the memory of the sources, if they are held there.
    """

    sources: int
    model: int
    surveys: int
    process: int
    free: int
    device: str
    resident: bool
    asked: bool
    shared: int = 0

    @property
    def own(self) -> int:
        """What the live model takes beside the sources."""
        return self.model - self.shared * self.resident

    @property
    def needed(self) -> int:
        """What will be taken."""
        return self.sources * self.resident + self.own + self.surveys + self.process

    @property
    def fits(self) -> bool:
        """Whether enough is left for forward passes."""
        return self.needed <= (1 - LEFT_FREE) * self.free

    def __str__(self) -> str:
        """One line, in GB of 10⁹ bytes."""
        where = "in memory" if self.resident else "read from disk for every candidate"
        why = ", as asked" if self.asked else ""
        more = (
            f" beside {(self.model - self.own) / _GB:.2f} GB of the models'" if self.shared else ""
        )
        short = "" if self.fits else ": more than there is room for"
        return (
            f"models {self.sources / _GB:.2f} GB, {where}{why}; candidate {self.own / _GB:.2f} "
            f"GB on {self.device}{more}; surveys {self.surveys / _GB:.2f} GB; in all "
            f"{self.needed / _GB:.2f} GB of {self.free / _GB:.2f} GB free{short}"
        )


def memory_plan(
    references: Sequence[ModelReference],
    recipe: AnyRecipe,
    settings: Settings,
    aligning: Sequence[Recipe] = (),
) -> MemoryPlan:
    """What a search over these models will take, judged by one of its recipes. Reads no weights.

    Args:
        references: the models.
        recipe: any recipe of the search.
        settings: where and how candidates are built.
        aligning: recipes that together align models in all the ways that it asks for.

    Raises:
        EvomergeError: a model cannot be read, or the recipe cannot be followed.
    """
    opened = open_references(references)
    try:
        return estimate(recipe, opened, settings, aligning)
    finally:
        for source in opened.values():
            source.close()


def estimate(
    recipe: AnyRecipe, opened: Opened, settings: Settings, aligning: Sequence[Recipe] = ()
) -> MemoryPlan:
    """As `memory_plan`, for models that are open."""
    if isinstance(recipe, Recipe):
        plan = plan_merge(recipe, with_sources(recipe, as_merged(recipe, opened)))
        aligned = aligned_bytes([*aligning, recipe], opened)
        return _estimate(plan, opened, settings, aligned=aligned)
    with closing(Adapting()) as adapters:
        plan = adapters.plan(recipe, opened[recipe.base_model])
        return _estimate(plan, opened, settings, adapters=adapters.nbytes(recipe))


def _estimate(
    plan: Plan, opened: Opened, settings: Settings, *, adapters: int = 0, aligned: int = 0
) -> MemoryPlan:
    """With ``adapters`` for what is remembered of those that are merged as such.

    ``aligned`` is of models that are moved, which are held beside those that are as they were.
    """
    sources = aligned + sum(_bytes_of(source) for source in opened.values())
    if plan.models.vocabulary is not None:
        renewed = plan.models.vocabulary.sources.values()
        sources += sum(
            s.info(name).size * FLOAT32.itemsize for s in renewed for name in s.changed()
        )
    surveyed = [tensor for tensor in plan.tensors if not tensor.copies]
    surveys = sum(len(tensor.inputs) for tensor in surveyed) * SURVEY_BYTES + adapters
    device = settings.chosen_device()
    model = output_bytes(plan) if device == "cpu" else 0
    asked = settings.resident is not None
    wish = MemoryPlan(
        sources,
        model,
        surveys,
        PROCESS_BYTES,
        free_memory(),
        device,
        resident=True,
        asked=asked,
        shared=_shared(plan) if device == "cpu" else 0,
    )
    return replace(wish, resident=wish.fits if settings.resident is None else settings.resident)


def free_memory() -> int:
    """Bytes that this process may still take: the system's, or those of its container."""
    return max(0, min([_of_system(), *_of_container()]))


def _shared(plan: Plan) -> int:
    """What the candidates of a search share with their models, judged by one of them.

    Those are stacks, and bases with an adapter. Of other recipes nothing counts: a model that
    stands alone is scored first, then come merges.
    """
    if isinstance(plan.models.donor.source, Candidate):
        unchanged = plan.models.donor.source.is_of_base
        return sum(t.info.nbytes for t in plan.tensors if t.copies and unchanged(t.info.name))
    if not plan.recipe.slices:
        return 0
    return sum(tensor.info.nbytes for tensor in plan.tensors if _is_shared(tensor))


def _is_shared(tensor: TensorPlan) -> bool:
    first = tensor.inputs[0]
    is_computed = first.name in _changed(first.source) and tensor.info.dtype != FLOAT32
    return tensor.copies and not is_computed and EXPERTS not in tensor.info.name


def _changed(source: Source) -> set[str]:
    """What is computed while it is read, in float32."""
    if isinstance(source, WithVocabulary):
        return set(source.changed())
    return set(source.changed()) if isinstance(source, Adapted) else set()


def _bytes_of(source: Checkpoint | Adapted) -> int:
    """In memory: what an adapter changes is computed in float32."""
    computed = _changed(source)
    infos = map(source.info, source.names())
    return sum(_computed(info) if info.name in computed else info.nbytes for info in infos)


def _computed(info: TensorInfo) -> int:
    return info.size * FLOAT32.itemsize


def _of_system() -> int:
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text("utf-8").splitlines()
        available = next(line for line in lines if line.startswith("MemAvailable:"))
        return int(available.split()[1]) * 1024
    # Elsewhere half of what the machine has.
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def _of_container(root: Path = Path("/sys/fs/cgroup")) -> list[int]:
    """Limits of control groups, less what is taken of them; none where there are none."""
    pairs = (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    )
    found = []
    for limit, taken in pairs:
        with suppress(OSError, ValueError):  # "max" is no number
            found.append(int((root / limit).read_text()) - int((root / taken).read_text()))
    return found
