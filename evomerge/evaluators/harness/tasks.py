"""Finds and loads lm-eval's tasks, and sets in them what `simple_evaluate` sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path

from datasets.exceptions import DatasetsError
from lm_eval.api.group import Group
from lm_eval.api.task import ConfigurableTask, Task
from lm_eval.defaults import DEFAULT_OTHER_SEED
from lm_eval.tasks import TaskManager

from evomerge.errors import EvaluationError, unknown
from evomerge.evaluators.harness.options import Options

# An error lists so many of the user's own tasks, and of lm-eval's 14,000 those with a name like
# the one asked for.
FEW_TASKS = 40
NEAR_TASKS = 8


@dataclass(frozen=True)
class Tasks:
    """What was loaded.

    Attributes:
        asked: the names of the tasks and groups that were asked for; a tag stands for its tasks.
        tasks: every task, those of the groups too, by name.
        groups: every group, by name.
    """

    asked: tuple[str, ...]
    tasks: Mapping[str, Task]
    groups: Mapping[str, Group]


def load_tasks(options: Options) -> Tasks:
    """Loads what ``options`` ask for, ready to write prompts.

    Raises:
        EvaluationError: a task is unknown, has no data, or does not load.
    """
    paths = options.include_path or []
    folders = (paths,) if isinstance(paths, str) else tuple(paths)
    manager = _manager_for(options.asked, folders)
    asked: list[str] = []
    tasks: dict[str, Task] = {}
    groups: dict[str, Group] = {}
    for name in _expanded(options.asked, manager, folders):
        loaded = _load(name, manager)
        for task in sorted(loaded["tasks"].keys() & tasks.keys()):
            raise EvaluationError(f"task '{task}' is asked for twice; name it once")
        tasks |= loaded["tasks"]
        groups |= loaded["groups"]
        inner = {child for children in loaded["group_map"].values() for child in children}
        asked += [group for group in loaded["groups"] if group not in inner] or loaded["tasks"]
    for name, task in tasks.items():
        _configure(name, task, options)
    return Tasks(tuple(asked), tasks, groups)


def describe(error: Exception) -> str:
    """An error of somebody else's code, in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def is_plain(task: Task) -> bool:
    """Whether lm-eval's own code processes the results: it leaves the documents alone."""
    own = type(task).process_results is ConfigurableTask.process_results
    return own and not callable(task.config.process_results)


def _manager_for(asked: Sequence[str], include_path: tuple[str, ...]) -> TaskManager:
    """Knows the user's tasks, and lm-eval's own, 8 s to read, where the user's do not suffice."""
    if include_path:
        users = _manager(include_path, defaults=False)
        if all(_is_closed(name, users) for name in asked):
            return users
    return _manager(include_path, defaults=True)


@lru_cache(maxsize=4)
def _manager(include_path: tuple[str, ...], *, defaults: bool) -> TaskManager:
    for folder in include_path:
        if not Path(folder).is_dir():
            raise EvaluationError(f"include_path: no folder {folder}; give one with task YAMLs")
    return TaskManager(include_path=list(include_path), include_defaults=defaults)


def _is_closed(name: str, manager: TaskManager) -> bool:
    """Whether a task, a tag or a group is known together with all that a group names."""
    entry = manager.task_index.get(name)
    if entry is None:
        return False
    members = (entry.cfg or {}).get("task") if name in manager.all_groups else []
    return isinstance(members, list) and all(
        isinstance(member, str) and _is_closed(member, manager) for member in members
    )


def _expanded(
    asked: Sequence[str], manager: TaskManager, include_path: tuple[str, ...]
) -> list[str]:
    names: list[str] = []
    for name in asked:
        found = manager.match_tasks([name]) if set(name) & set("*?[") else [name]
        if not found or not (found[0] in manager.task_index or Path(found[0]).is_file()):
            users = _manager(include_path, defaults=False).all_tasks if include_path else []
            raise EvaluationError(_unknown_task(name, manager.all_tasks, users))
        names += found
    return names


def _unknown_task(name: str, known: Sequence[str], users: Sequence[str]) -> str:
    near = {*get_close_matches(name, known, n=NEAR_TASKS), *users[:FEW_TASKS]}
    others = len(known) - len(near)
    return f"tasks: {unknown('task', name, near)}" + f", and {others} others" * (others > 0)


def _load(name: str, manager: TaskManager) -> Mapping[str, Mapping[str, Task]]:
    try:
        return manager.load([name])
    except (OSError, DatasetsError) as error:
        reason = " ".join(str(error).split())
        raise EvaluationError(
            f"task '{name}': its dataset cannot be found; {reason}\n"
            "       load it once while online, or look at the task's data_files"
        ) from error
    except Exception as error:  # a task is somebody's code and may raise anything
        raise EvaluationError(f"task '{name}': it does not load; {describe(error)}") from error


def _configure(name: str, task: Task, options: Options) -> None:
    """What `simple_evaluate` sets, in its order."""
    if getattr(task, "UNSAFE_CODE", False) and not options.allow_code:
        raise EvaluationError(
            f"task '{name}' executes what the model writes; "
            "set allow_code: true where that can do no harm"
        )
    if getattr(task, "MULTIMODAL", False):
        raise EvaluationError(f"task '{name}' asks about more than text; choose another")
    if options.gen_kwargs and task.get_config("output_type") == "generate_until":
        task.set_config(key="generation_kwargs", value=dict(options.gen_kwargs), update=True)
    fixed = task.get_config("num_fewshot")
    if options.num_fewshot is not None and fixed != 0:
        task.set_config(key="num_fewshot", value=options.num_fewshot)
    elif fixed is None:
        task.set_config(key="num_fewshot", value=0)
    task.set_fewshot_seed(seed=DEFAULT_OTHER_SEED)
