"""Small samples: models and what their items count."""

from __future__ import annotations

import numpy as np

from evomerge.statistics.aggregation import AGGREGATIONS
from evomerge.statistics.sample import Column, Sample


def sample(*tasks, aggregation="mean", weight=None):
    """Of tasks, each a list of models, each a list of contributions. Weights are equal shares."""
    rule = AGGREGATIONS[aggregation]
    columns = tuple(
        Column(
            number,
            1 / len(tasks) if weight is None else weight,
            rule,
            np.stack([rule.parts(model) for model in task], axis=1),
        )
        for number, task in enumerate(tasks)
    )
    units = tuple(len(column.parts) for column in columns)
    return Sample(units, columns, np.zeros(len(tasks[0])))


def right_or_wrong(rng, models, items, accuracy=0.5):
    """``(models, items)`` of independent zeros and ones."""
    return (rng.random((models, items)) < accuracy).astype(float).tolist()


def normal(rng, items, lead):
    """``(2, items)`` of normal numbers, the first model's ahead by ``lead`` in the mean."""
    numbers = rng.normal(size=(2, items))
    numbers[0] += lead
    return numbers.tolist()
