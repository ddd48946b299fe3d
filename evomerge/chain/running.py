"""A chain of searches: begun, gone on with, judged.

Each stage is an ordinary run. One that has been followed by another is done: it is not gone on
with, since what it found has entered the next.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from evomerge import session
from evomerge.chain.folder import Chain, begun, check_new, locked
from evomerge.chain.foreseeing import check_stages
from evomerge.chain.winners import entering, put_back
from evomerge.config.chained import ChainConfig
from evomerge.config.reading import Located
from evomerge.errors import SearchError
from evomerge.searching import Unwatched, Watcher
from evomerge.session import Resumption
from evomerge.study import Study
from evomerge.study.files import explained, write_whole
from evomerge.study.folder import CONFIG, LEDGER

# Who is shown what goes on in a stage, given its config.
Watching: TypeAlias = Callable[[Located], AbstractContextManager[Watcher]]


def watched_by(watcher: Watcher | None) -> Watching:
    """One watcher for all stages."""
    return lambda _: nullcontext(watcher or Unwatched())


def begin(
    config: ChainConfig, run: Path | None, watching: Watching, *, trials: int | None = None
) -> Study:
    """Runs all stages of a chain, in a new folder.

    Every stage is checked before the first begins, as far as it can be without the models that
    the stages before it will find.

    Args:
        config: the chain.
        run: its folder; by default the config's.
        watching: who is shown what goes on.
        trials: the budget of trials of every stage, instead of the config's.

    Returns:
        The finished study of the last stage.

    Raises:
        EvomergeError: the config cannot be followed, or there is something already.
    """
    folder = run or config.run
    check_new(folder)
    for name in config.stages if trials is not None else ():
        budget = config.stage(name).config.budget.model_dump(exclude_none=True)
        config = config.changed(name, {"budget": {**budget, "trials": trials}})
    remarks = check_stages(config)
    with begun(folder, config) as chain:
        return _go_on(chain, Resumption(), watching, remarks)


def resume(run: Path, how: Resumption, watching: Watching) -> Study:
    """Goes on with a chain in the stage where it is, and through those after it.

    Args:
        run: the folder of the chain.
        how: what to do with failures and drift of the stage where it is; the budget is that of
            the last stage.
        watching: who is shown what goes on.

    Returns:
        The finished study of the last stage.

    Raises:
        EvomergeError: it is no chain, a stage was begun under another config, or another process
            writes it.
    """
    with locked(run) as chain:
        return _go_on(chain, how, watching)


def judge(run: Path, watching: Watching) -> Study:
    """Scores the finalists of the last stage on the holdout, without searching any further.

    Raises:
        EvomergeError: it is no chain, or its last stage has not begun, or cannot be judged.
    """
    with locked(run) as chain:
        last = chain.config.last
        if last not in chain.begun:
            raise SearchError(
                f"{run}: its last stage, {last}, has not begun; to go on: evomerge resume {run}"
            )
        winners = chain.entered()
        for name, model in winners.items():
            put_back(chain, name, Path(model), Unwatched())
        located = chain.config.stage(last, winners)
        _refresh(chain.place(last), located)
        with watching(located) as watcher:
            return session.judge(chain.place(last), watcher=watcher)


def _go_on(
    chain: Chain, how: Resumption, watching: Watching, remarks: tuple[str, ...] = ()
) -> Study:
    """Through the stages, from the latest that has begun."""
    winners = chain.entered()
    for name, model in winners.items():
        put_back(chain, name, Path(model), Unwatched())
    first, *others = chain.stages[len(winners) :]
    study = _through(chain, first, winners, how, watching, remarks)
    for name in others:
        study = _through(chain, name, winners, Resumption(how.trials), watching)
    return study


def _through(
    chain: Chain,
    name: str,
    winners: dict[str, str],
    how: Resumption,
    watching: Watching,
    remarks: tuple[str, ...] = (),
) -> Study:
    """One stage, from where it is to its end, and to the model that enters the next."""
    located, place = chain.config.stage(name, winners), chain.place(name)
    last = name == chain.config.last
    how = how if last else replace(how, trials=None)
    with watching(located) as watcher:
        for remark in remarks:
            watcher.note(remark)
        watcher.note(f"stage {name}, {chain.stages.index(name) + 1} of {len(chain.stages)}")
        if (place / LEDGER).exists():
            _refresh(place, located)
            study = session.resume(place, how, watcher=watcher)
        else:
            study = session.begin(located, place, trials=how.trials, watcher=watcher)
        if not last:
            winners[name] = str(entering(chain, name, watcher))
    return study


def _refresh(place: Path, located: Located) -> None:
    """Makes the config of a begun stage what the chain's says now.

    What decides its trials may not have changed, which the stage itself sees to; the optimizer that
    ``auto`` took stays.
    """
    changes: dict[str, object] = {"run": str(place.absolute())}
    if located.config.optimizer == "auto":
        changes["optimizer"] = dict(Study.open(place).header.covers["optimizer"])
    with explained(place, "go on"):
        write_whole(place / CONFIG, located.written(**changes).encode())
