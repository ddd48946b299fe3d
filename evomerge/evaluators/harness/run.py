"""One exam, sat by one model after the other.

harness = Harness(Options(task="sums", include_path="evaluators/tasks"))
scores = harness.score(model)      # tasks, prompts, token ids and batches are made here
scores = harness.score(model)      # and used again here, after the weights have changed
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from math import isnan

from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from transformers import PreTrainedTokenizerBase

from evomerge.errors import EvaluationError, unknown
from evomerge.evaluators.base import Items, LoadedModel, Tick, no_tick
from evomerge.evaluators.harness.backend import find_backend, running
from evomerge.evaluators.harness.generators import restored
from evomerge.evaluators.harness.language_model import ResidentLM
from evomerge.evaluators.harness.names import check_names
from evomerge.evaluators.harness.options import Options
from evomerge.evaluators.harness.questions import Document, Exam, Questions, write_exam
from evomerge.evaluators.harness.results import grade
from evomerge.evaluators.scores import Scores


class Harness:
    """Scores models on the tasks of ``options``, with the numbers of `lm_eval.simple_evaluate`."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._resident: ResidentLM | None = None
        self._exam: Exam | None = None
        self._written_for: PreTrainedTokenizerBase | None = None

    def prepare(self) -> None:
        """Loads the tasks and writes the prompts.

        Raises:
            EvaluationError: a task is unknown, has no data or no such metric, filter or item, or
                there is no such backend.
        """
        if self._options.backend is not None:
            find_backend(self._options.backend)
        self._prepared()

    def sizes(self) -> Mapping[str, int] | None:
        """The number of documents by task, once the tasks are loaded."""
        if self._exam is None:
            return None
        questions = self._exam.choose(self._options.items)
        return {task: len(of_task) for task, of_task in questions.items()}

    def clusters(self, field: str) -> Mapping[str, Mapping[int, str]]:
        """What each document has under ``field``: by task, by the document's index.

        Raises:
            EvaluationError: a task's documents have no such field.
        """
        questions = self._prepared().choose(self._options.items)
        return {
            task: {number: _field_of(task, one.document, field) for number, one in of_task.items()}
            for task, of_task in questions.items()
        }

    def score(self, loaded: LoadedModel, items: Items | None, tick: Tick) -> Scores:
        """Scores ``loaded`` on ``items``, or on all documents that the options leave.

        Raises:
            EvaluationError: there are no such tasks or items, or the model gives no numbers.
        """
        with self._speaker(loaded, tick) as language_model:
            exam = self._written(language_model, loaded)
            questions = exam.choose(self._options.items if items is None else items)
            with restored(), redirect_stdout(io.StringIO()):  # HFLM prints what `auto` comes to
                exam.generators.restore()
                _answer(questions, language_model, loaded.label, tick)
                return grade(exam.tasks, questions, self._options)

    @contextmanager
    def _speaker(self, loaded: LoadedModel, tick: Tick) -> Iterator[LM]:
        if self._options.backend is not None:
            with running(self._options, loaded) as language_model:
                yield language_model
            return
        if self._resident is None or not self._resident.turns_to(loaded):
            self._resident = ResidentLM(loaded, self._options.batch_size)
        self._resident.tick = tick
        try:
            yield self._resident
        finally:
            self._resident.tick = no_tick

    def _prepared(self) -> Exam:
        """The exam for any model; with a chat template, only its documents are."""
        if self._exam is None:
            chat = self._options.apply_chat_template
            return self._keep(write_exam(self._options, _plain_chat if chat else None))
        return self._exam

    def _written(self, language_model: LM, loaded: LoadedModel) -> Exam:
        """The exam; with a chat template it is written again for each tokenizer."""
        if not self._options.apply_chat_template:
            return self._prepared()
        if self._exam is not None and loaded.tokenizer is self._written_for:
            return self._exam
        if not loaded.tokenizer.chat_template:
            raise EvaluationError(
                f"{loaded.label}: its tokenizer has no chat template; leave out apply_chat_template"
            )
        exam = self._keep(write_exam(self._options, language_model.apply_chat_template))
        self._written_for = loaded.tokenizer
        return exam

    def _keep(self, exam: Exam) -> Exam:
        with restored():  # lm-eval draws a number when a task is asked for its name
            check_names(exam.tasks, self._options)
        exam.choose(self._options.items)
        self._exam = exam
        return exam


def _plain_chat(messages: Sequence[Mapping[str, str]], **_settings: object) -> str:
    """What stands for a conversation as long as there is no tokenizer to write it."""
    return "\n".join(message["content"] for message in messages)


def _field_of(task: str, document: Document, field: str) -> str:
    if field not in document:
        raise EvaluationError(f"task '{task}': {unknown('field', field, document)}")
    return str(document[field])


def _answer(questions: Questions, language_model: LM, label: str, tick: Tick) -> None:
    """Fills the requests' answers, which still hold those of the model before."""
    by_kind: dict[str, list[Instance]] = {}
    for of_task in questions.values():
        for question in of_task.values():
            for request in question.requests:
                request.resps, request.filtered_resps = [], {}
                by_kind.setdefault(request.request_type, []).extend([request] * request.repeats)
    for kind, requests in by_kind.items():
        tick()
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
