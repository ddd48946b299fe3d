"""Any task of EleutherAI's lm-evaluation-harness, or of a folder of task files.

The numbers are those of `lm_eval.simple_evaluate`. What does not depend on the weights is done
once: another model, or the same one with new weights, costs its forward passes and little else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from evomerge.evaluators.base import Evaluator, Items, LoadedModel, Tick, evaluator, under
from evomerge.evaluators.benchmarks import reported
from evomerge.evaluators.harness.options import Options
from evomerge.evaluators.scores import Scores

if TYPE_CHECKING:
    from evomerge.evaluators.harness.run import Harness

TASK_FILES = (".yaml", ".yml")


@evaluator("lm_eval", needs="lm-eval")
@dataclass(frozen=True, kw_only=True)
class LmEval(Options, Evaluator):
    """Scores a model on lm-eval tasks; its keywords are those of `Options`."""

    paths: ClassVar[tuple[str, ...]] = ("include_path",)

    def score(self, model: LoadedModel, items: Items | None, tick: Tick) -> Scores:
        """Scores ``model`` on ``items``, or on all documents that the options leave.

        Each measure is one (metric, filter) of a task or group. Where a task compares the
        likelihoods of answers there is one more, ``log_likelihood``: the mean log-likelihood of
        the right answer, in nats.
        """
        return self._harness.score(model, items, tick)

    @property
    def needs_folder(self) -> bool:
        """Only where a backend of lm-eval reads the model."""
        return self.isolate or self.backend is not None

    def check(self) -> None:
        """Loads the tasks, and writes their prompts if they need no chat template.

        Raises:
            EvaluationError: there is no such task, dataset, metric, filter, item or backend.
        """
        self._harness.prepare()
        super().check()

    def sizes(self) -> Mapping[str, int] | None:
        """The number of documents by task, once the tasks are loaded."""
        return self._harness.sizes()

    def benchmarks(self) -> Sequence[str]:
        """Among the names asked for and, once they are loaded, the tasks these stand for."""
        return reported([*self.asked, *(self._harness.sizes() or ())])

    def clusters(self, field: str) -> Mapping[str, Mapping[int, str]]:
        """What each task's documents have under ``field``.

        Raises:
            EvaluationError: the documents of a task have no such field.
        """
        return self._harness.clusters(field)

    @classmethod
    def located(cls, settings: Mapping[str, object], folder: Path) -> dict[str, object]:
        """Tasks that are named by their file are looked up in ``folder`` too."""
        task = settings.get("task")
        names = task if isinstance(task, list) else [task]
        found = [
            under(folder, name) if isinstance(name, str) and name.endswith(TASK_FILES) else name
            for name in names
        ]
        located = {**settings, "task": found if isinstance(task, list) else found[0]}
        return super().located(located, folder)

    @cached_property
    def _harness(self) -> Harness:
        from evomerge.evaluators.harness.run import Harness

        return Harness(self)
