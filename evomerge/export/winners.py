"""What a finished run keeps beside its ledger: the recipes of its winners."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from evomerge.evidence import evidence_of
from evomerge.evidence.contenders import best_or_none
from evomerge.export.choice import Choice, chosen
from evomerge.export.exported import Exported, export
from evomerge.export.output import RETRY
from evomerge.report.summary import simplified_of
from evomerge.report.words import number
from evomerge.study import Study
from evomerge.study.files import explained, write_whole
from evomerge.trial import Trial

BEST, SIMPLIFIED, TABLE = "best.yaml", "best-simplified.yaml", "README.md"


def write_winners(study: Study) -> list[Path]:
    """Writes ``best.yaml``, ``best-simplified.yaml`` and ``front/`` into the run folder.

    The front only where objectives stay apart. What an earlier call wrote is replaced.

    Args:
        study: open for writing.

    Returns:
        What was written, the best first; nothing where no trial is feasible.

    Raises:
        OutputError: the disk fails.
    """
    best = best_or_none(study)
    if best is None:
        return []
    evidence = evidence_of(study)
    winners = {BEST: best, SIMPLIFIED: simplified_of(study, best)}
    written = []
    for name, trial in winners.items():
        if trial is not None:
            path = study.run / name
            with explained(path, RETRY):
                write_whole(path, export(study, trial, evidence).text.encode())
            written.append(path)
    if study.goals.pareto:
        front = [export(study, each, evidence) for each in chosen(study, Choice(front=True))]
        study.write_front(folder_of(study, front))
        written.append(study.run / "front")
    return written


def folder_of(study: Study, front: Sequence[Exported]) -> Mapping[str, str]:
    """The files of a folder with these recipes: one each, and a table of their scores."""
    files = {_name(each.trial): each.text for each in front}
    return {**files, TABLE: "".join(_table(study, [each.trial for each in front]))}


def _name(trial: Trial) -> str:
    return f"trial-{trial.number}.yaml"


def _table(study: Study, front: Sequence[Trial]) -> Iterator[str]:
    """Markdown."""
    names = study.goals.names
    yield f"# The front of {study.run.name}\n\n"
    yield "No recipe that was scored is better than one of these in one objective and not worse\n"
    yield "in another. Scores are those of the search's own items, by which they were chosen.\n\n"
    yield _row(["recipe", *names, "what it is"])
    yield _row(["---", *("---:" for _ in names), "---"])
    for trial in sorted(front, key=lambda each: study.goals.losses(each.scores)):
        values = [number(trial.scores[name].value) for name in names]
        yield _row([f"[{_name(trial)}]({_name(trial)})", *values, trial.label])


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |\n"
