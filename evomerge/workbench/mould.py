"""What transformers made of one candidate, so that others are made without loading them.

The first candidate of its kind is loaded by transformers from a folder, and where its tensors
land is proven. A mould keeps what was learnt of that, without the weights. Candidates that differ
from it in their layers alone, in how many there are and of which kinds, are cast from it.

Nothing is cast, and every candidate of another shape is loaded, where the model's own code came
with it, or where a shell of the first candidate is not in all parts what was loaded. Besides, a
candidate is loaded if it has a tensor of a name or shape that none of the layers so far had, or
one that does not land alike in all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from transformers import PreTrainedTokenizerBase

from evomerge.checkpoint.tensors import TensorInfo
from evomerge.evaluators.base import LoadedModel
from evomerge.evaluators.loading import load_model, quiet
from evomerge.merging.folder import Documents
from evomerge.merging.plan import Plan
from evomerge.workbench.hollow import write_hollow
from evomerge.workbench.landing import find_landing, gaps
from evomerge.workbench.live import Live
from evomerge.workbench.places import places_of, stored
from evomerge.workbench.renumbering import Habits, habits_of, landing_by, together
from evomerge.workbench.settings import Settings
from evomerge.workbench.shells import Caster, equal, give_memory

# What messages call every candidate.
LABEL = "the candidate"


@dataclass(frozen=True)
class Mould:
    """Makes live models of one kind.

    Attributes:
        tokenizer: of all of them.
        write: gives a folder with the model as it is now, for evaluators that read one.
        caster: makes them.
        habits: where their tensors land; none if nothing can be cast.
        device: where they are.
        scratch: the folder that tokenizer and settings were read from.
    """

    tokenizer: PreTrainedTokenizerBase
    write: Callable[[], Path]
    caster: Caster
    habits: Habits
    device: str
    scratch: TemporaryDirectory[str]

    def cast(self, plan: Plan, documents: Documents) -> Live | None:
        """The model of a plan whose documents differ in their layers alone; None if unsure."""
        landing = landing_by(self.habits, _infos(plan), plan.models.family)
        if landing is None:
            return None
        shell = self.caster.shell(documents.config)
        weights = stored(shell)
        targets = {run.target for runs in landing.values() for run in runs}
        if not targets <= weights.keys() or any(gaps(weights, landing)):
            return None
        shapes = give_memory(shell, self.device)
        loaded = LoadedModel(shell, self.tokenizer, LABEL, self.write)
        return Live(loaded, landing, places_of(shell, shapes))

    def with_habits(self, others: Habits) -> Mould:
        """Knowing also where tensors of other models of this kind land."""
        return self if not self.habits else replace(self, habits=together(self.habits, others))

    def close(self) -> None:
        """Deletes the folder."""
        self.scratch.cleanup()


def load(
    plan: Plan, documents: Documents, settings: Settings, write: Callable[[], Path]
) -> tuple[Live, Mould]:
    """What transformers makes of the folder that the merge would write, and the mould for others.

    Args:
        plan: the merge.
        documents: its small files.
        settings: where the model is, and whether its own code may run.
        write: gives a folder with the model as it is now, for evaluators that read one.

    Raises:
        CheckpointError: transformers cannot make a model of the output's config.json.
        EvaluationError: there is no such device.
        MergeError: the model cannot be overwritten in memory.
        OutputError: there is no space for config and tokenizer.
    """
    scratch = TemporaryDirectory(prefix="evomerge-")
    infos, family, device = _infos(plan), plan.models.family, settings.chosen_device()
    try:
        folder = Path(scratch.name)
        weights = write_hollow(plan, documents, folder)
        with quiet():
            loaded = load_model(
                folder, device=device, label=LABEL, trust_remote_code=settings.trust_remote_code
            )
        weights.unlink()
        landing = find_landing(loaded.model, infos, family)
    except BaseException:
        scratch.cleanup()
        raise
    caster = Caster.like(loaded.model)
    casts = not loaded.has_own_code and equal(caster.shell(documents.config), loaded.model)
    habits = habits_of(landing, infos, family) if casts else {}
    mould = Mould(loaded.tokenizer, write, caster, habits, device, scratch)
    live = Live(replace(loaded, folder=write), landing, places_of(loaded.model))
    return live, mould


def _infos(plan: Plan) -> Sequence[TensorInfo]:
    return [tensor.info for tensor in plan.tensors]
