"""Any task of EleutherAI's lm-evaluation-harness, or of a folder of task files.

The numbers are those of `lm_eval.simple_evaluate`. What does not depend on the weights is done
once: another model, or the same one with new weights, costs its forward passes and little else.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from evomerge.evaluators.base import Items, LoadedModel, Tick, evaluator, no_tick
from evomerge.evaluators.harness.options import Options
from evomerge.evaluators.scores import Scores

if TYPE_CHECKING:
    from evomerge.evaluators.harness.run import Harness


@evaluator("lm_eval", needs="lm-eval")
@dataclass(frozen=True, kw_only=True)
class LmEval(Options):
    """Scores a model on lm-eval tasks; its keywords are those of `Options`."""

    def evaluate(
        self, model: LoadedModel, items: Items | None = None, *, tick: Tick = no_tick
    ) -> Scores:
        """Scores ``model`` on ``items``, or on all documents that the options leave.

        Each measure is one (metric, filter) of a task or group. Where a task compares the
        likelihoods of answers there is one more, ``log_likelihood``: the mean log-likelihood of
        the right answer, in nats.
        """
        return self._harness.score(model, items, tick)

    @cached_property
    def _harness(self) -> Harness:
        from evomerge.evaluators.harness.run import Harness

        return Harness(self)
