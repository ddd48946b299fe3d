"""Is it really better? What a run can say for its winners.

ledger      what is needed of a study
gain        what "better" is, as one number
contenders  which trials may win, and which of them go to the holdout
holdout     scores them, once, on items that the search never saw
paired      the items of several models, side by side
verdicts    every finalist against the base and all parents
neutral     which genes of a winner could be set back
simplify    sets them back, while nothing is lost
summary     all that can be said, from the ledger alone
"""

from __future__ import annotations

from evomerge.evidence.contenders import best, best_of, best_or_none, choose_finalists
from evomerge.evidence.gain import Gauge, gauge_of, worth
from evomerge.evidence.holdout import run_holdout
from evomerge.evidence.simplify import Limits, simplified, simplify
from evomerge.evidence.summary import Evidence, evidence_of
from evomerge.evidence.verdicts import Comparison, Verdict

__all__ = [
    "Comparison",
    "Evidence",
    "Gauge",
    "Limits",
    "Verdict",
    "best",
    "best_of",
    "best_or_none",
    "choose_finalists",
    "evidence_of",
    "gauge_of",
    "run_holdout",
    "simplified",
    "simplify",
    "worth",
]
