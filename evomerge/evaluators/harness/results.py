"""From a model's answers to measures, by the tasks' own grading and aggregation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from lm_eval.api.group import Group
from lm_eval.api.metrics import mean
from lm_eval.api.task import ConfigurableTask, Task

from evomerge.errors import EvaluationError
from evomerge.evaluators.harness.names import GOLD, choose
from evomerge.evaluators.harness.options import Options
from evomerge.evaluators.harness.questions import Question, Questions, document_to_process
from evomerge.evaluators.harness.tasks import Tasks, describe
from evomerge.evaluators.scores import (
    UNFILTERED,
    Address,
    Contribution,
    Measure,
    Scores,
    main_measure,
)

Grades = dict[tuple[str, str], dict[int, object]]  # (metric, filter) -> document -> its grade


def grade(tasks: Tasks, questions: Questions, options: Options) -> Scores:
    """Scores the answers that stand in the questions' requests.

    Raises:
        EvaluationError: a task cannot grade them, has no such metric, or a score is not a number.
    """
    found = {name: _measures(name, tasks.tasks[name], asked) for name, asked in questions.items()}
    for name, group in tasks.groups.items():
        inside = [task.task_name for task in group.get_all_tasks()]
        found[name] = _group_measures(group, [found[task] for task in inside if task in found])
    chosen = [_choose(name, found[name], options) for name in _counting(tasks, found)]
    everything = tuple(measure for measures in found.values() for measure in measures)
    return Scores(everything, main_measure(chosen, needed=options.metric is not None))


def _measures(name: str, task: Task, questions: Mapping[int, Question]) -> list[Measure]:
    try:
        found = [
            _measure(name, task, metric, filter_name, by_document)
            for (metric, filter_name), by_document in _grades(task, questions).items()
        ]
        has_its_own = any((one.metric, one.filter) == (GOLD, UNFILTERED) for one in found)
        return found if has_its_own else found + _gold_measures(name, task, questions)
    except Exception as error:  # a task is somebody's code and may raise anything
        raise EvaluationError(
            f"task '{name}': it cannot grade the answers; {describe(error)}"
        ) from error


def _measure(
    name: str, task: Task, metric: str, filter_name: str, by_document: Mapping[int, object]
) -> Measure:
    aggregate = task.aggregation().get(metric, mean)
    return Measure(
        task=name,
        metric=metric,
        filter=filter_name,
        value=float(aggregate(list(by_document.values()))),
        higher_is_better=bool(task.higher_is_better().get(metric, True)),
        size=len(by_document),
        aggregation=getattr(aggregate, "__name__", type(aggregate).__name__),
        contributions={number: _plain(value) for number, value in by_document.items()},
    )


def _grades(task: Task, questions: Mapping[int, Question]) -> Grades:
    # apply_filters takes all the instances of a task: these are the ones with answers.
    task._instances = [asked for question in questions.values() for asked in question.requests]
    task.apply_filters()
    grades: Grades = {}
    for filter_name in task.instances[0].filtered_resps:
        for number, question in questions.items():
            answers = [asked.filtered_resps[filter_name] for asked in question.requests]
            document = document_to_process(task, question.document)
            for metric, value in task.process_results(document, answers).items():
                grades.setdefault((metric, filter_name), {})[number] = value
    return grades


def _gold_measures(name: str, task: Task, questions: Mapping[int, Question]) -> list[Measure]:
    """`GOLD`, where the task asks for the likelihood of a right answer."""
    found: dict[int, float] = {}
    for number, question in questions.items():
        right = _right_answers(task, question)
        if right:
            found[number] = max(question.requests[index].resps[0][0] for index in right)
    if not found:
        return []
    value = mean(list(found.values()))
    return [Measure(name, GOLD, UNFILTERED, value, True, len(found), contributions=found)]


def _right_answers(task: Task, question: Question) -> list[int]:
    """Which of a document's requests have a right answer."""
    if task.OUTPUT_TYPE == "loglikelihood":
        return [0]
    if task.OUTPUT_TYPE != "multiple_choice" or not isinstance(task, ConfigurableTask):
        return []
    document = question.document
    choices = task.doc_to_choice(document)
    gold = task.doc_to_text(document) if task.multiple_input else task.doc_to_target(document)
    golds = gold if isinstance(gold, list) else [gold]
    numbers = [choices.index(one) if one in choices else one for one in golds]
    return [number for number in numbers if number in range(len(choices))]


def _group_measures(group: Group, members: Sequence[Sequence[Measure]]) -> list[Measure]:
    """The group's own aggregates over its tasks, in lm-eval's arithmetic."""
    of_tasks: dict[str, dict[str, float]] = {}
    parts: dict[str, list[Measure]] = {}
    for one in (one for measures in members for one in measures):
        key = f"{one.metric},{one.filter}"
        parts.setdefault(key, []).append(one)
        of_task = of_tasks.setdefault(one.task, {"sample_len": 0})
        of_task |= {key: one.value, "sample_len": max(of_task["sample_len"], one.size)}
    aggregates = group.aggregate(of_tasks)
    return [
        Measure(
            task=group.name,
            metric=same[0].metric,
            filter=same[0].filter,
            value=float(aggregates[key]),
            higher_is_better=_direction(group.name, same),
            size=sum(one.size for one in same),
            aggregation="group",
            parts=_weights(group, same, of_tasks),
        )
        for key, same in parts.items()
        if key in aggregates
    ]


def _weights(
    group: Group, measures: Sequence[Measure], of_tasks: Mapping[str, Mapping[str, float]]
) -> Mapping[Address, float]:
    """How much each task's measure counts in the group's."""
    first = measures[0]
    by_size = next(  # the last entry overwrites what those before it found
        entry.weight_by_size
        for entry in reversed(group.aggregate_metric_list or ())
        if entry.metric == first.metric and first.filter in (entry.filter_list or [first.filter])
    )
    sizes = {one.address: of_tasks[one.task]["sample_len"] if by_size else 1.0 for one in measures}
    return {address: size / sum(sizes.values()) for address, size in sizes.items()}


def _direction(group: str, measures: Sequence[Measure]) -> bool:
    first = measures[0]
    if any(one.higher_is_better is not first.higher_is_better for one in measures):
        raise EvaluationError(
            f"group '{group}': its tasks disagree on the direction of {first.metric}; name them"
        )
    return first.higher_is_better


def _counting(tasks: Tasks, found: Mapping[str, Sequence[Measure]]) -> list[str]:
    """The tasks and groups whose mean is the score; a group without an aggregate is its tasks."""
    names: list[str] = []
    for name in tasks.asked:
        if name in tasks.groups and not found[name]:
            names += [task.task_name for task in tasks.groups[name].get_all_tasks()]
        else:
            names.append(name)
    return [name for name in names if found.get(name)]


def _choose(name: str, measures: Sequence[Measure], options: Options) -> Measure:
    """The measure of one task or group that counts."""
    by_pair = {(one.metric, one.filter): one for one in measures}
    return by_pair[choose(name, list(by_pair), options)]


def _plain(value: object) -> Contribution:
    """NumPy's numbers and arrays as Python's, so that they can be written as JSON."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, list | tuple):
        return tuple(_plain(one) for one in value)
    return value if isinstance(value, str | int | float) else str(value)
