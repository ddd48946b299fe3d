"""The report on a run, from the verdict down."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from evomerge.evidence import Verdict
from evomerge.evidence.gain import describe_gain
from evomerge.goals import Goals
from evomerge.recipe.writing import dump_yaml
from evomerge.report.blocks import Block, Code, Heading, Paragraph, Table, part, table
from evomerge.report.costs import Times
from evomerge.report.stack_lines import stack_text
from evomerge.report.statements import confidence, interval, named
from evomerge.report.summary import Summary
from evomerge.report.words import counted, duration, number, signed
from evomerge.trial import Trial

# How many dimensions and trial numbers are listed before it is only said that there are more.
LISTED = 15
# Chances below this are all alike to a reader.
SMALLEST = 0.0001


def document(summary: Summary) -> Iterator[Block]:
    """The blocks of the report."""
    yield Paragraph(summary.headline)
    for warning in summary.warnings:
        yield Paragraph(f"Warning: {warning}.")
    yield from _verdicts(summary)
    yield from part("Baselines", scores_table(summary, summary.baselines))
    yield from _winners(summary)
    yield from _recipes(summary)
    yield from _importances(summary)
    yield from part("Failures", _failures(summary))
    yield from _times(summary.times)
    counts = ", ".join(f"{stage} {count}" for stage, count in summary.counts.items())
    rows = [("run", summary.run), ("trials", counts or "none yet"), *summary.settings.items()]
    yield from part("Run", table(("what", "is"), rows, words=("what", "is")))


def scores_table(summary: Summary, trials: Iterable[Trial]) -> Table:
    """Trials with their scores on the items of the search and, where there are any, held out."""
    listed = list(trials)
    names = summary.goals.names
    summed = len(summary.goals.weights) > 1 and not summary.goals.pareto
    held = any(trial.number in summary.held_out for trial in listed)
    rows = []
    for trial in listed:
        rows.append([str(trial.number), _what(trial), *(_score(trial, name) for name in names)])
        if summed:
            rows[-1].append(_total(summary.goals, trial))
        if held:
            line = summary.held_out.get(trial.number)
            rows[-1] += ["" if line is None else _score(line, name) for name in names]
    total = [_name_of_total(summary.goals)] if summed else []
    headings = ["trial", "what", *names, *total, *(f"{name}, held out" for name in names if held)]
    return table(headings, rows, words=("what",))


# Characters of a heading that does not push its column apart.
SHORT = 20


def _name_of_total(goals: Goals) -> str:
    """A heading for the one number that several scores come to."""
    whole = describe_gain(goals)
    if whole.startswith("the mean"):
        return "mean"
    return whole if len(whole) <= SHORT else "weighted sum"


def _verdicts(summary: Summary) -> Iterator[Block]:
    evidence = summary.evidence
    headings = ("finalist", "verdict", "gain", "over", "interval", "p", "could show", "items")
    rows = [_verdict(each) for each in evidence.verdicts]
    if not rows:
        return
    yield Heading("On the holdout")
    yield table(headings, rows, words=("finalist", "verdict", "over", "interval"))
    yield Paragraph(
        f"The gain is in {evidence.gain}, over the best rival. Each interval is at the level at "
        "which its finalist was tested. p is the largest over base and parents, after Holm's "
        "correction. 'could show' is the smallest true gain that this holdout finds four times in "
        "five."
    )
    notes = [(each.number, note) for each in evidence.verdicts for note in each.notes]
    for which, note in notes:
        yield Paragraph(f"Trial {which}: {note}.")
    for note in evidence.notes:
        yield Paragraph(f"{note[:1].upper()}{note[1:]}.")


def _verdict(verdict: Verdict) -> tuple[str, ...]:
    limits = f"{interval(verdict)} {confidence(verdict)}" if verdict.interval else ""
    return (
        named(verdict),
        verdict.word,
        "" if verdict.gain is None else signed(verdict.gain),
        verdict.against,
        limits,
        "" if verdict.adjusted is None else _chance(verdict.adjusted),
        "" if verdict.detectable is None else number(verdict.detectable),
        str(verdict.items),
    )


def _chance(p: float) -> str:
    return f"{p:.2g}" if p >= SMALLEST else f"< {SMALLEST:g}"


def _winners(summary: Summary) -> Iterator[Block]:
    if summary.best is None:
        yield from part("Best", Paragraph("No trial is feasible: none has scores and meets all."))
        return
    if summary.goals.pareto:
        yield from part("Front", scores_table(summary, summary.front))
    winners = [summary.best, summary.simplified]
    yield from part("Best", scores_table(summary, [each for each in winners if each is not None]))


def _recipes(summary: Summary) -> Iterator[Block]:
    winners = {"Best recipe": summary.best, "Simplified recipe": summary.simplified}
    for heading, trial in winners.items():
        if trial is not None:
            yield from part(f"{heading} (trial {trial.number})", *recipe_blocks(trial))


def recipe_blocks(trial: Trial) -> Iterator[Block]:
    """The recipe of a trial, with a drawing before it where it is a stack of layers."""
    stack = stack_text(trial.recipe)
    if stack is not None:
        yield Code(stack)
    yield Code(dump_yaml(trial.recipe))


def _importances(summary: Summary) -> Iterator[Block]:
    if not summary.importances:
        yield from part("What mattered", Paragraph(_sentence(summary.remark)))
        return
    shares = list(summary.importances.items())
    rows = [(name, f"{100 * share:.0f} %") for name, share in shares[:LISTED]]
    blocks: list[Block] = [table(("dimension", "share"), rows, words=("dimension",))]
    if len(shares) > LISTED:
        blocks.append(Paragraph(f"… and {counted(len(shares) - LISTED, 'dimension')} of less."))
    yield from part("What mattered", *blocks)


def _failures(summary: Summary) -> Table:
    rows = [
        (str(len(group.trials)), group.kind, group.message, _numbers(group.trials))
        for group in summary.failures
    ]
    headings = ("times", "kind", "message", "trials")
    return table(headings, rows, words=("kind", "message", "trials"))


def _times(times: Times) -> Iterator[Block]:
    if not times.trials:
        return
    phases = times.phases.items()
    rows = [(name, duration(total), duration(total / times.trials)) for name, total in phases]
    rows.append(("all", duration(times.total), duration(times.total / times.trials)))
    yield from part(
        "Time",
        table(("phase", "in all", "a trial"), rows, words=("phase",)),
        Paragraph(
            f"Of {counted(times.trials, 'scored trial')}. All but asking, merging, probing and "
            f"forward passes takes {duration(times.overhead)} a trial."
        ),
    )


def _numbers(numbers: tuple[int, ...]) -> str:
    shown = ", ".join(map(str, numbers[:LISTED]))
    return shown if len(numbers) <= LISTED else f"{shown}, …"


def _what(trial: Trial) -> str:
    failed = "failed" if trial.failure is not None else ""
    return ", ".join(word for word in (trial.label or trial.stage, failed) if word)


def _score(trial: Trial, name: str) -> str:
    return number(trial.scores[name].value) if name in trial.scores else ""


def _total(goals: Goals, trial: Trial) -> str:
    return "" if goals.outcome(trial).losses is None else number(-sum(goals.losses(trial.scores)))


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
