"""Models resident in memory, and one live model that becomes each candidate in turn."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import TYPE_CHECKING

from evomerge.checkpoint.adapter_parts import Base
from evomerge.checkpoint.source import Source
from evomerge.errors import EvaluationError, RecipeError
from evomerge.evaluators.base import LoadedModel
from evomerge.merging.blocks import BLOCK
from evomerge.merging.folder import Documents, documents_of, write_merge
from evomerge.merging.models import Models, open_references, with_sources
from evomerge.merging.plan import Plan, TensorPlan, plan_merge
from evomerge.merging.stream import Merger, Options, make_all
from evomerge.merging.surveys import Surveys
from evomerge.recipe import AnyRecipe, ModelReference, Recipe
from evomerge.workbench.adapting import Adapting
from evomerge.workbench.aligning import Aligning
from evomerge.workbench.changes import signatures
from evomerge.workbench.kinds import kind_of, models_key, shape_of
from evomerge.workbench.memory import estimate
from evomerge.workbench.resident import Resident, memory_of
from evomerge.workbench.settings import Settings

if TYPE_CHECKING:
    from evomerge.workbench.live import Live
    from evomerge.workbench.mould import Mould

# Of models in memory nothing is copied, so a block need not fit a cache; fewer cost less time.
RESIDENT_BLOCK = 1 << 20
# Sets of models, in one order, and kinds of candidates that are remembered. None takes much.
MODELS = 64
MOULDS = 8


class Workbench:
    """Builds the candidates of a search, all in the same memory.

    What it gives is what `evomerge.merge` would have written and `load_model` read, bit for bit.
    One thread uses it at a time.

    Attributes:
        merged: tensors that the last `build` had to merge; the others were as they should be, or
            are those of a model in memory, where they stand.
        resident: whether the models stay in memory; None until the first recipe decides it.
    """

    def __init__(
        self,
        references: Sequence[ModelReference],
        settings: Settings,
        aligning: Aligning | None = None,
    ) -> None:
        """Opens the models; reads headers and configs, not weights.

        Args:
            references: all models that recipes will name.
            settings: where and how candidates are built.
            aligning: what recipes will ask for that align models.

        Raises:
            CheckpointError: a model cannot be found or read.
        """
        self.merged = 0
        self.resident = settings.resident
        self._settings = settings
        self._opened = open_references(references)
        self._sources: Mapping[ModelReference, Base] = self._opened
        self._models: dict[Hashable, Models] = {}
        self._adapting = Adapting()
        self._aligning = aligning or Aligning()
        self._surveys = Surveys()
        self._live: Live | None = None
        self._moulds: dict[Hashable, Mould] = {}
        self._shape: Hashable = None
        self._built: dict[str, Hashable] = {}
        self._plan: Plan | None = None
        self._written: TemporaryDirectory[str] | None = None

    def plan(self, recipe: AnyRecipe) -> Plan:
        """How ``recipe`` becomes a model: a few milliseconds for one like those before.

        Raises:
            RecipeError: it asks for what does not exist, or names a model that is not here.
            MergeError: the models cannot be merged this way.
            VocabularyError: their vocabularies differ, or cannot be brought together.
        """
        if isinstance(recipe, Recipe):
            return plan_merge(recipe, self._models_of(recipe))
        self._check_there(recipe)
        self._decide(recipe)
        return self._adapting.plan(recipe, self._sources[recipe.base_model])

    def build(self, recipe: AnyRecipe) -> LoadedModel:
        """The model that ``recipe`` makes: the same object each time, unless its shape changes.

        What it only copies of models in memory, it shares with them: nobody may write to it. The
        weights of what an earlier call returned are gone. After an error the model holds
        nothing of use, and the next call makes it right.

        Raises:
            EvomergeError: as `plan`; a model holds NaN; transformers cannot load such a model.
        """
        plan = self.plan(recipe)
        self._forget_folder()
        self._aligning.find(plan.models)
        live = self._live_of(plan)
        self.merged = self._fill(live, plan)
        self._plan = plan
        return live.loaded

    def align(self, recipe: AnyRecipe) -> None:
        """Finds what moves the models of ``recipe``, if it aligns any and that is not known yet.

        Raises:
            EvomergeError: as `plan`; the models cannot be aligned.
        """
        self._aligning.find(self.plan(recipe).models)

    def fingerprints(self) -> Mapping[ModelReference, str]:
        """The hash of each model's weights; the first time, each takes a second a gigabyte."""
        return {reference: source.fingerprint() for reference, source in self._opened.items()}

    def close(self) -> None:
        """Frees all memory and closes all files. Closing twice does nothing."""
        self._drop_live()
        while self._moulds:
            self._moulds.popitem()[1].close()
        self._models, self._sources = {}, {}
        self._surveys.clear()
        self._adapting.close()
        self._aligning.clear()
        for source in self._opened.values():
            source.close()

    def __enter__(self) -> Workbench:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _models_of(self, recipe: Recipe) -> Models:
        """The models of a recipe, the same objects for recipes that name the same ones alike."""
        self._check_there(recipe)
        key = models_key(recipe)
        if key not in self._models:
            self._decide(recipe)
            brought = self._aligning.of(recipe, self._opened)
            moved = self._aligning.resident(recipe) if self.resident else brought
            sources = {each: self._sources[each] for each in recipe.references()} | moved
            models = with_sources(recipe, sources)
            if models.vocabulary is not None:
                models = self._renewed(models, sources)
            models = replace(models, aligned=tuple(brought.values()))
            self._models[key] = models
            if len(self._models) > MODELS:
                plain = (key for key, each in self._models.items() if each.vocabulary is None)
                del self._models[next(plain)]
        return self._models[key]

    def _check_there(self, recipe: AnyRecipe) -> None:
        """Refuses a recipe that names a model that is not here."""
        for reference in recipe.model_references():
            if reference not in self._opened:
                there = ", ".join(map(str, self._opened))
                raise RecipeError(f"recipe: {reference} is not on the workbench; there are {there}")

    def _decide(self, recipe: AnyRecipe) -> None:
        """Puts the models into memory, or not, once and for all."""
        if self.resident is None:
            aligning = self._aligning.recipes
            planned = estimate(recipe, self._opened, self._settings, aligning)
            self.resident = planned.resident
        if self.resident and self._sources is self._opened:
            self._sources = {name: Resident(source) for name, source in self._opened.items()}

    def _renewed(self, models: Models, sources: Mapping[ModelReference, Source]) -> Models:
        """Models in a new vocabulary; what that changes of them is held in memory for one only."""
        others = [key for key, each in self._models.items() if each.vocabulary is not None]
        for key in others:
            del self._models[key]
        if others:
            self._surveys.clear()
        if not self.resident or models.vocabulary is None:
            return models
        held = {}
        for reference, model in models.by_reference.items():
            behind = sources[reference]
            held[reference] = replace(
                model,
                source=Resident(
                    model.source,
                    models.vocabulary.sources[reference].changed(),
                    behind if isinstance(behind, Resident) else None,
                ),
            )
        return replace(models, by_reference=held)

    def _live_of(self, plan: Plan) -> Live:
        """The model in memory, of the shape that a plan needs."""
        documents = documents_of(plan)
        shape = shape_of(plan, documents)
        if self._live is None or shape != self._shape:
            self._drop_live()
            self._live = self._made(plan, documents)
            self._shape = shape
        return self._live

    def _made(self, plan: Plan, documents: Documents) -> Live:
        """A live model, from the mould of one that differs from it in its layers alone."""
        from evomerge.workbench.mould import load

        kind = kind_of(plan, documents)
        mould = self._moulds.get(kind)
        live = None if mould is None else mould.cast(plan, documents)
        if live is None:
            live, loaded = load(plan, documents, self._settings, self._write)
            self._moulds[kind] = loaded if mould is None else loaded.with_habits(mould.habits)
            if mould is not None:
                mould.close()
            if len(self._moulds) > MOULDS:
                self._moulds.pop(next(iter(self._moulds))).close()
        return live

    def _fill(self, live: Live, plan: Plan) -> int:
        """Gives the live model the weights of a plan; returns how many tensors were merged."""
        wanted = signatures(plan)
        changed = [t for t in plan.tensors if self._built.get(t.info.name) != wanted[t.info.name]]
        for tensor in changed:
            self._built.pop(tensor.info.name, None)
        merger = Merger(plan, self._options(), self._surveys)
        merged: list[TensorPlan] = []

        def make(tensor: TensorPlan) -> None:
            memory = memory_of(tensor) if live.can_share(tensor.info) else None
            if memory is None:
                merger.merge(tensor, live.write, live.whole(tensor.info))
                merged.append(tensor)
            else:
                merger.check(tensor)
                live.share(tensor.info, memory)
            self._built[tensor.info.name] = wanted[tensor.info.name]

        work = []
        for tensor in changed:
            is_shared = self.resident and tensor.copies and live.can_share(tensor.info)
            # Sharing what has been looked at before takes less time than a thread to do it.
            if is_shared and self._surveys.are_finite(tensor):
                make(tensor)
            else:
                work.append(tensor)
        if work:
            make_all(merger, work, make)
        return len(merged)

    def _drop_live(self) -> None:
        self._forget_folder()
        self._built = {}
        self._shape = None
        if self._live is not None:
            live, self._live = self._live, None
            live.close()

    def _write(self) -> Path:
        """A folder with the model that was built last, for evaluators that read one."""
        if self._plan is None:
            raise EvaluationError("the candidate: its merge failed; there is no model to write")
        if self._written is None:
            self._written = TemporaryDirectory(prefix="evomerge-")
            out = Path(self._written.name) / "candidate"
            write_merge(self._plan, out, options=self._options())
        return Path(self._written.name) / "candidate"

    def _forget_folder(self) -> None:
        self._plan = None
        if self._written is not None:
            self._written.cleanup()
            self._written = None

    def _options(self) -> Options:
        return Options(
            device=self._settings.chosen_device(),
            threads=self._settings.threads,
            allow_nan=self._settings.allow_nan,
            block=RESIDENT_BLOCK if self.resident else BLOCK,
        )
