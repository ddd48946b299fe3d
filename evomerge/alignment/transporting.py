"""Transport plans: how much of each unit goes to each place, when all of it has to go somewhere.

The plan with the greatest sum of gains and of entropy, times a temperature, is found by scaling
rows and columns in turn ([1], here with logarithms), and what is still missing of its sums is
mended ([2], algorithm 2). The colder it is, the more a plan is like the best assignment.

[1] M. Cuturi. Sinkhorn distances: lightspeed computation of optimal transport. NeurIPS 2013.
    https://arxiv.org/abs/1306.0895
[2] J. Altschuler, J. Weed, P. Rigollet. Near-linear time approximation algorithms for optimal
    transport via Sinkhorn iteration. NeurIPS 2017. https://arxiv.org/abs/1705.09634
"""

from __future__ import annotations

from math import inf

import numpy as np

from evomerge.alignment.actions import Floats
from evomerge.errors import RecipeError

# Sums within this share of what they should be are mended at once.
CLOSE = 1e-9
# Scalings of rows and columns: cold plans of like units would take more, and are mended.
STEPS = 1000


def plan(gains: Floats, temperature: float) -> Floats:
    """How much of each unit comes to each place: ``(places, units)``, rows sum to 1.

    All units give equally much: columns sum to places / units.

    Args:
        gains: ``(places, units)``, finite.
        temperature: above 0, as a share of the mean of what each place could gain at most.
    """
    places, units = gains.shape
    scale = float(abs(gains).max(1).mean())
    logs = gains / (temperature * scale) if scale > 0 else np.zeros(gains.shape)
    each = np.log(places / units)
    rows: Floats = np.zeros((places, 1))
    columns: Floats = np.zeros((1, units))
    for _ in range(STEPS):
        rows = -_log_sums(logs + columns, 1)
        columns = each - _log_sums(logs + rows, 0)
        found = np.exp(logs + rows + columns)
        if (abs(found.sum(1) - 1) < CLOSE).all():
            break
    return _mended(found, places / units)


def _log_sums(logs: Floats, axis: int) -> Floats:
    most = logs.max(axis, keepdims=True)
    sums: Floats = most + np.log(np.exp(logs - most).sum(axis, keepdims=True))
    return sums


def _mended(found: Floats, each: float) -> Floats:
    """The plan with exact sums that is near to one with nearly such."""
    found = found * np.minimum(1, 1 / found.sum(1, keepdims=True))
    found = found * np.minimum(1, each / found.sum(0, keepdims=True))
    # Not below 0, as rounding may have it.
    rows = (1 - found.sum(1, keepdims=True)).clip(0)
    columns = (each - found.sum(0, keepdims=True)).clip(0)
    lacking = rows.sum()
    return found + rows * columns / lacking if lacking > 0 else found


def check_soft(soft: object, temperature: object) -> None:
    """Refuses settings of a soft plan that are none.

    Raises:
        RecipeError: naming the setting.
    """
    if not isinstance(soft, bool):
        raise RecipeError(f"soft: found {soft!r}; expected true or false")
    if not isinstance(temperature, int | float) or not 0 < temperature < inf:
        raise RecipeError(f"temperature: found {temperature!r}; expected a number above 0")
