"""RegMean is least squares: against NumPy's own, for layers of every form."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evomerge.errors import MergeError
from evomerge.methods.base import merge_methods
from evomerge.methods.measured import Measured
from tests.methods.in_memory import merged, parameters_of

INPUTS, OUTPUTS = 6, 4
EXACT = {"alpha": 1.0, "ridge": 0.0}


class Layer:
    """A linear layer and what it was shown."""

    def __init__(self, seed: int, tokens: int = 40) -> None:
        rng = np.random.default_rng(seed)
        self.weight = rng.standard_normal((OUTPUTS, INPUTS)).astype(np.float32)
        self.bias = rng.standard_normal(OUTPUTS).astype(np.float32)
        mixed = rng.standard_normal((INPUTS, INPUTS)) + np.eye(INPUTS)
        self.shown = rng.standard_normal((tokens, INPUTS)) @ mixed + rng.standard_normal(INPUTS)

    def measured(self, *, part: str, bias: bool, turned: bool = False) -> Measured:
        rows = np.column_stack([self.shown, np.ones(len(self.shown))])
        gram = rows.T @ rows
        other = self.bias if part == "weight" else self.weight.T if turned else self.weight
        partner = (lambda: other) if bias else None
        return Measured("up.weight", lambda rows: gram[rows], partner=partner, turned=turned)


def merge(layers, *, part="weight", bias=False, turned=False, work=np.float64, **options):
    arrays = [layer.weight.T if turned else layer.weight for layer in layers]
    if part == "bias":
        arrays = [layer.bias for layer in layers]
    arrays = [np.ascontiguousarray(array).astype(work) for array in arrays]
    known = [layer.measured(part=part, bias=bias, turned=turned) for layer in layers]
    return merged("regmean", arrays, measured=known, work=np.dtype(work), **options)


def least_squares(layers, *, bias: bool, weights=None):
    """The layer whose outputs are nearest to those of all, over all that they were shown."""
    weights = weights or [1.0] * len(layers)
    rows, wanted = [], []
    for layer, weight in zip(layers, weights, strict=True):
        shown = np.column_stack([layer.shown, np.ones(len(layer.shown))]) * weight**0.5
        whole = np.column_stack([layer.weight, layer.bias if bias else 0 * layer.bias])
        rows.append(shown if bias else shown[:, :-1])
        wanted.append(shown @ whole.T)
    return np.linalg.lstsq(np.concatenate(rows), np.concatenate(wanted), rcond=None)[0].T


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 4))
def test_one_linear_layer_is_the_least_squares_solution(seed, count):
    layers = [Layer(seed + i, tokens=20 + 10 * i) for i in range(count)]
    np.testing.assert_allclose(
        merge(layers, **EXACT), least_squares(layers, bias=False), rtol=0, atol=1e-8
    )


@pytest.mark.parametrize("turned", [False, True], ids=["linear", "turned"])
def test_a_bias_is_the_weight_of_a_constant_input(turned):
    layers = [Layer(seed) for seed in range(3)]
    expected = least_squares(layers, bias=True)
    found = merge(layers, bias=True, turned=turned, **EXACT)
    np.testing.assert_allclose(found.T if turned else found, expected[:, :-1], rtol=0, atol=1e-8)
    bias = merge(layers, part="bias", bias=True, turned=turned, **EXACT)
    np.testing.assert_allclose(bias, expected[:, -1], rtol=0, atol=1e-8)


def test_weights_count_a_model_more_or_not_at_all():
    layers = [Layer(seed) for seed in range(3)]
    found = merge(layers, weight=[0.5, 2.0, 1.0], **EXACT)
    expected = least_squares(layers, bias=False, weights=[0.5, 2.0, 1.0])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-8)
    alone = merge(layers, weight=[0.0, 1.0, 0.0], **EXACT)
    np.testing.assert_allclose(alone, layers[1].weight, rtol=0, atol=1e-8)


def test_alpha_shrinks_what_inputs_have_in_common():
    layers = [Layer(seed) for seed in range(2)]
    grams = [layer.shown.T @ layer.shown for layer in layers]
    shrunk = [0.9 * gram + 0.1 * np.diag(np.diag(gram)) for gram in grams]
    right = sum(layer.weight @ gram for layer, gram in zip(layers, shrunk, strict=True))
    expected = right @ np.linalg.inv(sum(shrunk))
    np.testing.assert_allclose(merge(layers, alpha=0.9, ridge=0.0), expected, rtol=0, atol=1e-8)


def test_alpha_zero_weighs_every_input_by_its_size():
    layers = [Layer(seed) for seed in range(2)]
    sizes = [np.square(layer.shown).sum(0) for layer in layers]
    expected = sum(s * layer.weight for s, layer in zip(sizes, layers, strict=True)) / sum(sizes)
    np.testing.assert_allclose(merge(layers, alpha=0.0, ridge=0.0), expected, rtol=0, atol=1e-8)


def test_a_strong_ridge_gives_the_mean():
    layers = [Layer(seed) for seed in range(3)]
    mean = sum(layer.weight for layer in layers) / 3
    np.testing.assert_allclose(merge(layers, ridge=1e9), mean, rtol=0, atol=1e-6)


def dependent():
    """Layers that were shown fewer tokens than they have inputs."""
    return [Layer(seed, tokens=2) for seed in range(2)]


def test_a_singular_gram_matrix_without_ridge_is_refused():
    with pytest.raises(MergeError, match=r"up\.weight: the Gram matrix of its inputs is singular"):
        merge(dependent(), **EXACT)


def test_a_ridge_decides_where_the_data_do_not():
    """What was shown comes out right, and the rest is the mean's."""
    layers = dependent()
    found = merge(layers, alpha=1.0, ridge=1e-9)
    for layer in layers:
        np.testing.assert_allclose(found @ layer.shown.T, layer.weight @ layer.shown.T, atol=1e-5)
    shown = np.concatenate([layer.shown for layer in layers])
    unseen = np.linalg.svd(shown)[2][len(shown) :].T
    mean = sum(layer.weight for layer in layers) / 2
    np.testing.assert_allclose(found @ unseen, mean @ unseen, atol=1e-5)


def test_layers_that_saw_nothing_are_averaged():
    layers = [Layer(seed) for seed in range(2)]
    for layer in layers:
        layer.shown[:] = 0
    mean = (layers[0].weight.astype(np.float64) + layers[1].weight) / 2
    np.testing.assert_allclose(merge(layers, **EXACT), mean)


def test_what_was_not_measured_is_averaged():
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal((5, 3)).astype(np.float32) for _ in range(2)]
    found = merged("regmean", arrays, measured=[], weight=[1.0, 3.0])
    np.testing.assert_allclose(found, 0.25 * arrays[0] + 0.75 * arrays[1], rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weight": [-1.0, 2.0]}, "the weights -1, 2; expected 0 or more"),
        ({"weight": [0.0, 0.0]}, "not all 0"),
        ({"alpha": 1.5}, "alpha 1.5; expected 0 to 1"),
        ({"ridge": -1.0}, "ridge -1; expected 0 or more"),
    ],
)
def test_parameters_out_of_their_range_are_refused(options, message):
    with pytest.raises(MergeError, match=message):
        merge_methods["regmean"].check(parameters_of("regmean", 2, options))
