"""Verdicts in plain words."""

from __future__ import annotations

from evomerge.evidence import Evidence, Verdict
from evomerge.evidence.verdicts import GAIN, NO_GAIN, WORSE
from evomerge.report.words import number, signed

# What stands in the description of a gain that is not in the units of a score.
SCALED = "scaled"


def headline(evidence: Evidence) -> str:
    """What a run found, in one or two sentences; without a holdout, that there is none.

    Where several finalists were judged it speaks of the best of the search, if that has a gain or
    none has; else of the one that gains most.
    """
    measured = [each for each in evidence.verdicts if each.gain is not None]
    if not measured:
        unmeasured = [sentence(each) for each in evidence.verdicts[:1]]
        return _capital("; ".join([*evidence.notes, *unmeasured]) or "nothing was judged.")
    best = [each for each in measured if each.number == evidence.best]
    verdict = evidence.winner or max(best or measured, key=lambda each: each.gain or 0.0)
    unit = f" Gains are in {evidence.gain}." if SCALED in evidence.gain else ""
    # A rival that was not compared, or a constraint that is missed on the holdout.
    limits = "".join(f" But {note}." for note in (*verdict.notes, *evidence.notes))
    return f"{_capital(verdict.word)}: {_meaning(verdict)}{unit}{limits}"


def sentence(verdict: Verdict) -> str:
    """A verdict in a line, for the trial that it is about."""
    if verdict.gain is None:
        reason = f": {verdict.notes[0]}" if verdict.notes else ""
        return f"{verdict.word}{reason}"
    return f"{verdict.word}: {_measured(verdict)} on {verdict.items} held-out items"


def named(verdict: Verdict) -> str:
    """``trial 37``, with its label where it has one."""
    return f"trial {verdict.number}" + (f" ({verdict.label})" if verdict.label else "")


def interval(verdict: Verdict) -> str:
    """``[+.004, +.058]``; empty where there is none."""
    if verdict.interval is None:
        return ""
    low, high = verdict.interval
    return f"[{signed(low)}, {signed(high)}]"


def confidence(verdict: Verdict) -> str:
    """How sure the interval is: ``95 %``."""
    return f"{100 * (1 - 2 * verdict.level):.4g} %"


def _meaning(verdict: Verdict) -> str:
    what = named(verdict)
    measured = f"{_measured(verdict)}, on {verdict.items} held-out items."
    if verdict.word == GAIN:
        return f"{what} beats the base and every parent: {measured}"
    if verdict.word == WORSE:
        return f"{what} is worse than a model it was made from: {measured}"
    if verdict.word == NO_GAIN and verdict.detectable is not None:
        least = number(verdict.detectable)
        return f"{what}: {measured} A true gain of {least} would be found four times in five."
    return f"{what}: {measured}"


def _measured(verdict: Verdict) -> str:
    gain = signed(verdict.gain or 0.0)
    limits = f", {confidence(verdict)} interval {interval(verdict)}" if verdict.interval else ""
    return f"{gain} over {verdict.against}{limits}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
