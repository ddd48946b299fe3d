"""McNemar's test: of the items on which two models differ, how many did the first one win?

If neither is better, each such item is a toss of a fair coin. The mid-p value counts the outcome
that was seen by half [1]: the plain exact test errs on the safe side by far, this one hardly does.

[1] M. Fagerland, S. Lydersen, P. Laake. The McNemar test for binary matched-pairs data: mid-p and
    asymptotic are better than exact conditional. BMC Medical Research Methodology, 2013.
    https://doi.org/10.1186/1471-2288-13-91
"""

from __future__ import annotations

from scipy.special import bdtrc

from evomerge.statistics.tails import Tails


def mcnemar(gained: int, lost: int) -> Tails:
    """The one-sided mid-p values.

    Args:
        gained: items that only the first model has right.
        lost: items that only the second has right.
    """
    tosses = gained + lost
    # P(X > gained) + P(X = gained) / 2 for X ~ Binomial(tosses, 1/2)
    greater = float(bdtrc(gained - 1, tosses, 0.5) + bdtrc(gained, tosses, 0.5)) / 2
    return Tails(greater, 1.0 - greater)
