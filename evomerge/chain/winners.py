"""The trial that enters the next stage, and its model.

The model is written once, under a name that says what is in it, and exists whole or not at all.
One that is missing can be made again: the ledger has its recipe.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from evomerge.chain.folder import Chain
from evomerge.errors import EvomergeError, StudyError, placed
from evomerge.evidence import best_of
from evomerge.merging.folder import write_merge
from evomerge.merging.recipes import plan_of
from evomerge.merging.stream import Options
from evomerge.recipe import AnyRecipe
from evomerge.recipe.adapters import recipe_in
from evomerge.recipe.digest import digest_of
from evomerge.report.summary import simplified_of
from evomerge.searching import Watcher
from evomerge.study import Study
from evomerge.study.files import explained, sync_folder
from evomerge.trial import Trial
from evomerge.workbench import Settings

# Of the digest: two winners of one stage are told apart.
DIGITS = 12
# Where a model stands until all of it is on the disk.
MAKING = "new"


def winner_of(study: Study) -> Trial:
    """What enters the next stage: the best trial; where it was simplified, what became of it.

    Raises:
        SearchError: no trial is feasible.
    """
    best = best_of(study)
    return simplified_of(study, best) or best


def model_name(stage: str, study: Study, trial: Trial) -> str:
    """``blend-1f0c9a7be2d4``: by the stage, its models' contents and the trial's recipe."""
    content = {"models": study.header.covers["models"], "recipe": trial.recipe}
    return f"{stage}-{digest_of(content)[:DIGITS]}"


def trial_of(stage: str, study: Study, model: Path) -> Trial:
    """The trial whose model stands, or stood, in a folder.

    Raises:
        StudyError: the stage has none.
    """
    likely = [winner_of(study), *study.trials]
    for trial in likely:
        if model_name(stage, study, trial) == model.name:
            return trial
    raise StudyError(
        f"{model}: is missing, and no trial of {study.run} makes it; put the folder back"
    )


def entering(chain: Chain, stage: str, watcher: Watcher) -> Path:
    """The model with which a stage ends, written unless it stands there.

    Raises:
        EvomergeError: no trial is feasible, or the model cannot be written.
    """
    study = chain.study(stage)
    try:
        trial = winner_of(study)
    except EvomergeError as error:
        raise placed(error, f"{study.run}: nothing can enter the next stage") from error
    return _there(chain, stage, study, trial, watcher)


def put_back(chain: Chain, stage: str, model: Path, watcher: Watcher) -> None:
    """Makes a model again that a later stage was begun with and that is missing.

    Raises:
        EvomergeError: it cannot be made.
    """
    if not model.exists():
        study = chain.study(stage)
        _there(chain, stage, study, trial_of(stage, study, model), watcher)


def _there(chain: Chain, stage: str, study: Study, trial: Trial, watcher: Watcher) -> Path:
    out = chain.models / model_name(stage, study, trial)
    watcher.note(f"stage {stage}: trial {trial.number} enters the next stage as {out}")
    if not out.exists():
        _write(recipe_in(trial.recipe), out, _options(study))
    shutil.rmtree(chain.models / MAKING, ignore_errors=True)  # of this writing, or of a killed one
    return out


def _options(study: Study) -> Options:
    """How the candidates of a stage were built, so that the model is what was scored."""
    asked = study.config
    device = Settings(device=str(asked.get("device") or "auto")).chosen_device()
    threads, allow_nan = int(asked.get("threads") or 0), bool(asked.get("allow_nan"))
    return Options(device=device, threads=threads, allow_nan=allow_nan)


def _write(recipe: AnyRecipe, out: Path, options: Options) -> None:
    """Writes a model; under its name only when all of it would outlast a power cut."""
    making = out.parent / MAKING / out.name
    write_merge(plan_of(recipe), making, force=True, options=options)
    with explained(out, f"go on, nothing is lost: evomerge resume {out.parents[1]}"):
        for file in making.iterdir():
            _flush(file)
        sync_folder(making)
        making.rename(out)
        sync_folder(out.parent)


def _flush(file: Path) -> None:
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
