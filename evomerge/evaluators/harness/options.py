"""What to score, and how: the keys of the evaluator ``lm_eval``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field

# Of (context, answer) pairs in one forward pass. Sixteen short prompts keep two cores busy, and
# their logits fit in memory beside a model with a vocabulary of 150,000.
BATCH_SIZE = 16


@dataclass(frozen=True, kw_only=True)
class Options:
    """The settings of `simple_evaluate` that decide a score, by lm-eval's names.

    Attributes:
        task: a task, a group or a tag of lm-eval or of ``include_path``, a pattern such as
            ``mmlu_*``, the path of a task's YAML, or a list of these.
        include_path: folders with further task YAMLs; they win over lm-eval's own.
        num_fewshot: examples in each prompt. A task that fixes 0 keeps 0.
        limit: only the first so many documents of each task; below 1, that share of them.
        items: only these documents, by index: a list, or lists by task.
        apply_chat_template: write prompts as conversations, by the tokenizer's template.
        fewshot_as_multiturn: in conversations, each example is a turn of its own.
        system_instruction: written before each prompt.
        batch_size: requests in one forward pass, or ``auto``.
        gen_kwargs: generation settings laid over the tasks' own.
        metric: the metric that counts; by default each task's first.
        filter: the answer filter that counts; by default the first that has the metric.
        allow_code: run tasks that execute what the model writes.
        backend: a model type of lm-eval, such as ``vllm``, that reads the model from its folder.
            Without it the model in memory answers, which is fastest where the models are small.
        backend_args: further arguments of that type, laid over the model's folder, type and
            device.
    """

    task: str | list[str]
    include_path: str | list[str] | None = None
    num_fewshot: Annotated[int, Field(ge=0)] | None = None
    limit: Annotated[float, Field(gt=0)] | None = None
    items: list[int] | dict[str, list[int]] | None = None
    apply_chat_template: bool = False
    fewshot_as_multiturn: bool = True
    system_instruction: str | None = None
    batch_size: Annotated[int, Field(gt=0)] | Literal["auto"] = BATCH_SIZE
    gen_kwargs: dict[str, str | float | int | bool | list[str]] | None = None
    metric: str | None = None
    filter: str | None = None
    allow_code: bool = False
    backend: str | None = None
    backend_args: dict[str, Any] = field(default_factory=dict)

    @property
    def asked(self) -> list[str]:
        """The names in ``task``."""
        return [self.task] if isinstance(self.task, str) else self.task
