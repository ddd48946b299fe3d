"""Fisher merging: values by hand, and what stays when nobody is sure."""

from __future__ import annotations

import numpy as np
import pytest

from evomerge.errors import MergeError
from evomerge.methods.base import merge_methods
from evomerge.methods.measured import EMPIRICAL_FISHER, FISHER, Measured
from tests.methods.in_memory import merged, parameters_of

ONE, OTHER = (np.array([row], np.float32) for row in ([1.0, 2.0, -4.0], [3.0, 6.0, 4.0]))


def known(*diagonals, norms=(1.0, 1.0)):
    arrays = [np.array([each], np.float32) for each in diagonals]
    return [
        Measured("weight", lambda rows, a=a: a[rows], norm=n)
        for a, n in zip(arrays, norms, strict=True)
    ]


def merge(measured, **given):
    return merged("fisher", [ONE, OTHER], measured=measured, **given)[0]


def test_by_hand():
    """(3 · 1 + 1 · 3) / 4, (1 · 2 + 0 · 6) / 1, (1 · -4 + 3 · 4) / 4."""
    found = merge(known([3, 1, 1], [1, 0, 3]), floor=0.0)
    np.testing.assert_allclose(found, [1.5, 2.0, 2.0])


def test_weights_scale_the_information():
    """(1 · 3 · 1 + 3 · 1 · 3) / 6 and so on."""
    found = merge(known([3, 1, 1], [1, 0, 3]), floor=0.0, weight=[1.0, 3.0])
    np.testing.assert_allclose(found, [2.0, 2.0, 3.2], rtol=1e-6)


def test_equal_information_gives_the_mean():
    found = merge(known([0.3] * 3, [0.3] * 3))
    np.testing.assert_allclose(found, [2.0, 4.0, 0.0], atol=1e-7)


def test_no_information_gives_the_mean_with_a_floor_or_without():
    for floor in (0.0, 1e-6):
        found = merge(known([0] * 3, [0] * 3), floor=floor, weight=[1.0, 3.0])
        np.testing.assert_allclose(found, [2.5, 5.0, 2.0], rtol=1e-6)


def test_the_floor_keeps_a_model_in():
    """At the second number: (2 · 2 + 2 · 6) / 4."""
    found = merge(known([3, 1, 1], [1, 0, 3]), floor=2.0)
    np.testing.assert_allclose(found[1], 4.0)


def test_normalising_divides_by_the_length_of_a_whole_diagonal():
    plain = known([3, 1, 1], [1, 0, 3])
    scaled = known([30, 10, 10], [1, 0, 3], norms=(10.0, 1.0))
    options = {"floor": 0.0}
    np.testing.assert_allclose(
        merge(scaled, normalize=True, **options), merge(plain, **options), rtol=1e-6
    )


def test_what_it_asks_for():
    method = merge_methods["fisher"]
    assert method.measures(parameters_of("fisher", 2, {})) == FISHER
    assert method.measures(parameters_of("fisher", 2, {"empirical": True})) == EMPIRICAL_FISHER


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weight": [1.0, -0.5]}, "the weights 1, -0.5; expected 0 or more"),
        ({"floor": -1.0}, "the floor -1; expected 0 or more"),
    ],
)
def test_parameters_out_of_their_range_are_refused(options, message):
    with pytest.raises(MergeError, match=message):
        merge_methods["fisher"].check(parameters_of("fisher", 2, options))
