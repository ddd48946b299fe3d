"""One exam, sat by one model after the other.

harness = Harness(Options(task="sums", include_path="evaluators/tasks"))
scores = harness.score(model)      # tasks, prompts, token ids and batches are made here
scores = harness.score(model)      # and used again here, after the weights have changed
"""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from math import isnan

from lm_eval.api.instance import Instance
from transformers import PreTrainedTokenizerBase

from evomerge.errors import EvaluationError
from evomerge.evaluators.base import Items, LoadedModel, Tick
from evomerge.evaluators.harness.generators import restored
from evomerge.evaluators.harness.language_model import ResidentLM
from evomerge.evaluators.harness.options import Options
from evomerge.evaluators.harness.questions import Exam, Questions, write_exam
from evomerge.evaluators.harness.results import grade
from evomerge.evaluators.scores import Scores


class Harness:
    """Scores models on the tasks of ``options``, with the numbers of `lm_eval.simple_evaluate`."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._language_model: ResidentLM | None = None
        self._exam: Exam | None = None
        self._written_for: PreTrainedTokenizerBase | None = None

    def score(self, loaded: LoadedModel, items: Items | None, tick: Tick) -> Scores:
        """Scores ``loaded`` on ``items``, or on all documents that the options leave.

        Raises:
            EvaluationError: there are no such tasks or items, or the model gives no numbers.
        """
        language_model = self._speaker(loaded)
        exam = self._written(language_model, loaded.label)
        questions = exam.choose(self._options.items if items is None else items)
        language_model.tick = tick
        with restored(), redirect_stdout(io.StringIO()):  # HFLM prints what `auto` comes to
            exam.generators.restore()
            _answer(questions, language_model, loaded.label)
            return grade(exam.tasks, questions, self._options)

    def _speaker(self, loaded: LoadedModel) -> ResidentLM:
        if self._language_model is None or not self._language_model.speaks_for(loaded):
            self._language_model = ResidentLM(loaded, self._options.batch_size)
        return self._language_model

    def _written(self, language_model: ResidentLM, label: str) -> Exam:
        """The exam; with a chat template it is written again for each tokenizer."""
        chat = self._options.apply_chat_template
        tokenizer = language_model.tokenizer
        if self._exam is None or (chat and tokenizer is not self._written_for):
            if chat and not tokenizer.chat_template:
                raise EvaluationError(
                    f"{label}: its tokenizer has no chat template; leave out apply_chat_template"
                )
            template = language_model.apply_chat_template if chat else None
            self._exam = write_exam(self._options, template)
            self._written_for = tokenizer
        return self._exam


def _answer(questions: Questions, language_model: ResidentLM, label: str) -> None:
    """Fills the requests' answers, which still hold those of the model before."""
    by_kind: dict[str, list[Instance]] = {}
    for of_task in questions.values():
        for question in of_task.values():
            for request in question.requests:
                request.resps, request.filtered_resps = [], {}
                by_kind.setdefault(request.request_type, []).extend([request] * request.repeats)
    for kind, requests in by_kind.items():
        answers = getattr(language_model, kind)(requests, disable_tqdm=True)
        for request, answer in zip(requests, answers, strict=True):
            _refuse_nan(request, answer, label)
            request.resps.append(answer)


def _refuse_nan(request: Instance, answer: object, label: str) -> None:
    """A task would grade NaN as it grades any number: as an answer, right or wrong."""
    number = answer[0] if isinstance(answer, tuple) else answer
    if isinstance(number, float) and isnan(number):
        raise EvaluationError(
            f"{label}: a likelihood in task '{request.task_name}', document {request.doc_id}, "
            "is not a number; its weights hold NaN or grow beyond their dtype"
        )
