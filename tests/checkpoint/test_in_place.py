"""Promises of layers that work only where they are: nothing moves them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evomerge.checkpoint.in_place import KEYS, TYPES, check_may_move
from evomerge.checkpoint.per_layer import LayerOrigin, restacked
from evomerge.errors import MergeError

LAYERS = 4
ORDINARY = {"model_type": "llama", "num_hidden_layers": LAYERS}
BOUND = [{key: harmless + 1} for key, (harmless, _) in KEYS.items()]
BOUND += [{"model_type": kind} for kind in TYPES]

stacks = st.lists(st.integers(0, LAYERS - 1), min_size=1, max_size=6)


def stack(config, layers):
    return restacked(config, [LayerOrigin(config, layer) for layer in layers])


@pytest.mark.parametrize("extra", BOUND, ids=str)
@given(layers=stacks)
def test_layers_that_are_bound_to_their_place_stay_there(extra, layers):
    config = ORDINARY | extra
    if layers == list(range(LAYERS)):
        return
    with pytest.raises(MergeError, match=str(next(iter(extra)))):
        stack(config, layers)


@pytest.mark.parametrize("extra", BOUND, ids=str)
def test_in_place_they_may_be_of_several_models(extra):
    one, other = ORDINARY | extra, ORDINARY | extra
    origins = [LayerOrigin(one if layer % 2 else other, layer) for layer in range(LAYERS)]
    assert restacked(one, origins) == {}


@pytest.mark.parametrize("key", KEYS)
def test_a_switch_that_is_off_binds_nothing(key):
    for off in (KEYS[key][0], False, None):
        check_may_move([ORDINARY | {key: off}])


def test_any_of_the_models_may_be_such():
    with pytest.raises(MergeError, match="num_kv_shared_layers: 2: lets layers use the keys"):
        check_may_move([ORDINARY, ORDINARY | {"num_kv_shared_layers": 2}])
