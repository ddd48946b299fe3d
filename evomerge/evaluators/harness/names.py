"""Which metric counts: the one asked for, of those that tasks and groups have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lm_eval.api.group import Group
from lm_eval.api.task import Task

from evomerge.errors import UnknownMetric, unknown
from evomerge.evaluators.harness.options import Options
from evomerge.evaluators.harness.tasks import Tasks, is_plain
from evomerge.evaluators.scores import UNFILTERED

# Our own metric beside the tasks': the mean log-likelihood of the right answer, in nats. It still
# moves where accuracy stands still.
GOLD = "log_likelihood"

# Kinds of tasks that ask for the likelihood of a right answer.
WITH_GOLD = ("loglikelihood", "multiple_choice")

Pair = tuple[str, str]  # (metric, filter)


def choose(name: str, pairs: Sequence[Pair], options: Options) -> Pair:
    """The metric and filter of one task or group that count.

    Raises:
        UnknownMetric: it has none of those names.
    """
    metric, filter_name = options.metric, options.filter
    of_metric = [pair for pair in pairs if metric in {None, pair[0]}]
    if not of_metric:
        metrics = {one for one, _ in pairs}
        raise UnknownMetric(f"task '{name}': {unknown('metric', str(metric), metrics)}")
    for pair in of_metric:
        if filter_name in {None, pair[1]}:
            return pair
    filters = {one for _, one in of_metric}
    raise UnknownMetric(f"task '{name}': {unknown('filter', str(filter_name), filters)}")


def check_names(tasks: Tasks, options: Options) -> None:
    """Sees whether the metric and the filter exist, as far as that shows before there are answers.

    Tasks whose results are made by code of their own can have metrics that they do not list.

    Raises:
        UnknownMetric: they do not exist.
    """
    for name in tasks.asked:
        group = tasks.groups.get(name)
        if group is not None and group.has_aggregation:
            _check(name, group.get_all_tasks(), list(_of_group(group)), options)
            continue
        for task in [tasks.tasks[name]] if group is None else group.get_all_tasks():
            _check(task.task_name, [task], _of_task(task), options)


def _check(name: str, tasks: Sequence[Task], pairs: Sequence[Pair], options: Options) -> None:
    if all(is_plain(task) for task in tasks):
        choose(name, pairs, options)


def _of_task(task: Task) -> list[Pair]:
    pairs = [(metric, one) for one in _filters(task) for metric in task.aggregation()]
    return pairs + [(GOLD, UNFILTERED)] * (task.OUTPUT_TYPE in WITH_GOLD)


def _of_group(group: Group) -> Iterator[Pair]:
    everywhere = {name for task in group.get_all_tasks() for name in _filters(task)}
    for entry in group.aggregate_metric_list or ():
        for name in entry.filter_list or everywhere:
            yield entry.metric, name


def _filters(task: Task) -> list[str]:
    return [ensemble.name for ensemble in task._filters]
