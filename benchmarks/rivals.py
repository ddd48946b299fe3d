"""What else one could do for a trial, with mergekit and lm-eval: in memory, and by their commands.

`InMemory` is the strongest rival that we know how to write: the models stay in memory, so does the
model that is scored, its tasks are loaded once, nothing is logged or bootstrapped. What is
left is to merge each tensor, to copy it into place, and `lm_eval.simple_evaluate`.
"""

from __future__ import annotations

import json
import logging
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from time import perf_counter

import yaml
from lm_eval import simple_evaluate
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager
from mergekit.merge_methods import merge_tensors
from processes import Cost, run
from safetensors.torch import load_file
from trial_cases import BATCH, Case

from evomerge.evaluators.loading import load_model
from evomerge.recipe import Recipe

METRIC = "acc,none"


class InMemory:
    """Merges with mergekit into a model in memory, and scores that with lm-eval.

    Attributes:
        weights: of the model that is scored, by name.
        seconds: of the last candidate: ``merge`` and ``evaluate``.
    """

    def __init__(self, case: Case) -> None:
        """Loads models and tasks."""
        logging.getLogger("lm_eval").setLevel(logging.ERROR)
        self.seconds: Mapping[str, float] = {}
        self._sources = {
            str(folder): load_file(folder / "model.safetensors") for folder in case.models.values()
        }
        loaded = load_model(case.base, device="cpu", dtype=case.dtype)
        self.weights = dict(loaded.model.named_parameters())
        self._scored = HFLM(pretrained=loaded.model, tokenizer=loaded.tokenizer, batch_size=BATCH)
        self._manager = TaskManager(include_path=str(case.include_path), include_defaults=False)
        self._tasks = [*self._manager.load(list(case.tasks))["tasks"].values()]

    def __call__(self, recipe: Recipe) -> dict[str, float]:
        """The accuracy of a candidate, by task."""
        began = perf_counter()
        self._merge(recipe.tree())
        merged = perf_counter()
        found = simple_evaluate(
            self._scored,
            tasks=self._tasks,
            task_manager=self._manager,
            bootstrap_iters=0,
            log_samples=False,
        )
        self.seconds = {"merge": merged - began, "evaluate": perf_counter() - merged}
        return {task: float(row[METRIC]) for task, row in found["results"].items()}

    def _merge(self, tree: Mapping) -> None:
        """Makes every weight what a recipe says: one number a model and parameter."""
        entries = {each["model"]: each["parameters"] for each in tree["models"]}
        base = tree.get("base_model")
        ids = [*entries] if base is None else [base, *entries]
        names = {name for own in entries.values() for name in own}
        parameters = {name: {id_: entries[id_][name] for id_ in entries} for name in names}
        for name, weight in self.weights.items():
            merged = merge_tensors(
                [self._sources[id_][name] for id_ in ids],
                tree["merge_method"],
                parameters=parameters,
                ids=ids,
                base_index=None if base is None else ids.index(base),
                name=name,
            )
            weight.copy_(merged)


def by_commands(case: Case, recipe: Recipe, folder: Path) -> tuple[Cost, Cost, dict[str, float]]:
    """`mergekit-yaml` into a folder, then `lm_eval` on it: what each costs, and the accuracies."""
    out, found = folder / "merged", folder / "found"
    for place in (out, found):
        shutil.rmtree(place, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe.tree()))
    tools = Path(sys.executable).parent
    merging = run([tools / "mergekit-yaml", folder / "recipe.yaml", out, "--quiet"])
    scoring = run(
        [
            *(tools / "lm_eval", "run", "--model", "hf", "--device", "cpu", "--batch_size"),
            *(str(BATCH), "--model_args", f"pretrained={out},dtype={case.dtype}"),
            *("--tasks", ",".join(case.tasks), "--include_path", case.include_path),
            *("--output_path", found),
        ]
    )
    (file,) = found.rglob("results_*.json")
    results = json.loads(file.read_text())["results"]
    return merging, scoring, {task: float(results[task][METRIC]) for task in case.tasks}
