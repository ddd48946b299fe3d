"""Every prompt of every task, written once.

The order of what is done is part of the result: the examples in a prompt, and whatever else a task
draws, come from generators that are seeded before the tasks are loaded. A subset of the documents
is therefore a selection of the prompts written here, never a second writing.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr
from copy import deepcopy
from dataclasses import dataclass
from math import ceil
from typing import NamedTuple

from lm_eval.api.instance import Instance
from lm_eval.api.task import Task

from evomerge.errors import EvaluationError, unknown
from evomerge.evaluators.base import Items
from evomerge.evaluators.harness.generators import Generators, restored, seed
from evomerge.evaluators.harness.options import Options
from evomerge.evaluators.harness.tasks import Tasks, describe, is_plain, load_tasks

Document = Mapping[str, object]
ChatTemplate = Callable[..., str]


class Question(NamedTuple):
    """One document of a task, and the requests it makes."""

    document: Document
    requests: tuple[Instance, ...]


Questions = Mapping[str, Mapping[int, Question]]  # by task, by the document's index


@dataclass(frozen=True)
class Exam:
    """Tasks with their prompts.

    Attributes:
        tasks: what was loaded.
        questions: the documents and their requests.
        generators: the states in which the writing left the random generators, and in which
            `simple_evaluate` begins to ask the model.
    """

    tasks: Tasks
    questions: Questions
    generators: Generators

    def choose(self, items: Items | None) -> Questions:
        """The questions about the documents in ``items``, in the tasks' order.

        Raises:
            EvaluationError: there is no such task or document.
        """
        if items is None:
            return self.questions
        wanted = _by_task(items, tuple(self.questions))
        return {task: self._some(task, wanted[task]) for task in self.questions if task in wanted}

    def _some(self, task: str, documents: Sequence[int]) -> Mapping[int, Question]:
        there, wanted = self.questions[task], set(documents)
        for missing in sorted(wanted - there.keys()):
            raise EvaluationError(
                f"task '{task}': no document {missing}; there are {len(there)}, counted from 0"
            )
        return {number: question for number, question in there.items() if number in wanted}


def write_exam(options: Options, chat_template: ChatTemplate | None) -> Exam:
    """Loads the tasks and writes every prompt. ``chat_template`` turns messages into text.

    Raises:
        EvaluationError: a task is unknown, has no data, or cannot be put into prompts.
    """
    with restored(), redirect_stderr(io.StringIO()):  # lm-eval draws a bar for every task
        seed()
        loaded = load_tasks(options)
        questions = {
            name: _write(name, task, options, chat_template) for name, task in loaded.tasks.items()
        }
        return Exam(loaded, questions, Generators.now())


def document_to_process(task: Task, document: Document) -> Document:
    """``document``, or a copy of it where the task's own code might change it."""
    return document if is_plain(task) else deepcopy(document)


def _by_task(items: Items, tasks: Sequence[str]) -> Mapping[str, Sequence[int]]:
    if isinstance(items, Mapping):
        for task in items:
            if task not in tasks:
                raise EvaluationError(f"items: {unknown('task', task, tasks)}")
        return items
    if len(tasks) != 1:
        raise EvaluationError(f"items: bare indices for {len(tasks)} tasks; give them by task")
    return {tasks[0]: items}


def _write(
    name: str, task: Task, options: Options, chat_template: ChatTemplate | None
) -> Mapping[int, Question]:
    limit = _limit(name, task, options)
    try:
        task.build_all_requests(
            limit=limit,
            system_instruction=options.system_instruction,
            apply_chat_template=chat_template is not None,
            fewshot_as_multiturn=options.fewshot_as_multiturn,
            chat_template=chat_template,
        )
        documents: dict[int, Document] = dict(task.doc_iterator(limit=limit))
    except Exception as error:  # a task is somebody's code and may raise anything
        raise EvaluationError(
            f"task '{name}': its prompts cannot be written; {describe(error)}"
        ) from error
    requests: dict[int, list[Instance]] = {number: [] for number in documents}
    for instance in task.instances:
        requests[instance.doc_id].append(instance)
    _remember_templates(task, tuple(documents.values()))
    return {
        number: Question(document, tuple(sorted(requests[number], key=lambda asked: asked.idx)))
        for number, document in documents.items()
    }


def _limit(name: str, task: Task, options: Options) -> int | None:
    """How many documents to write about: a prompt depends on those before it, not after."""
    if options.items is not None:
        items = options.items
        chosen = items.get(name, []) if isinstance(items, dict) else items
        return max(chosen, default=0) + 1
    if options.limit is None:
        return None
    return ceil(len(task.eval_docs) * options.limit) if options.limit < 1 else int(options.limit)


def _remember_templates(task: Task, documents: Sequence[Document]) -> None:
    """Keeps what a task's templates give for its documents.

    lm-eval compiles and renders them anew for each document of each model: 0.7 ms a document.
    """
    if is_plain(task):
        for name in ("doc_to_target", "doc_to_choice", "doc_to_text"):
            setattr(task, name, _remembering(getattr(task, name), documents))


def _remembering(
    template: Callable[..., object], documents: Sequence[Document]
) -> Callable[..., object]:
    ours = {id(document): document for document in documents}  # kept alive, so that ids stay theirs
    known: dict[int, object] = {}

    def look_up(document: Document, override: object = None) -> object:
        address = id(document)
        if override is not None or address not in ours:
            return template(document, override)
        if address not in known:
            known[address] = template(document)
        return known[address]

    return look_up
