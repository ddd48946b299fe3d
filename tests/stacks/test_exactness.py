"""A scale that is folded into weights is the same as multiplying the residual stream."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel

from evomerge.api import merge
from evomerge.checkpoint.source import open_source
from evomerge.errors import RecipeError
from evomerge.families import FAMILIES, Family, family_of
from evomerge.recipe import ModelReference, Recipe
from evomerge.stacks import Hop, Stack, slices_of
from tests.stacks.families import KINDS, architecture, loaded, made, without_epsilons

SCALES = (1.3, 0.7, 0.8, 1.7)
TOLERANCE = 1e-5
# With the epsilons of the norms, for any family: docs/data-flow.md.
AS_DOCUMENTED = 1e-3


def family_in(folder: Path) -> Family:
    source = open_source(ModelReference.of(folder))
    return family_of(source.config, source.names(), source.label)


def scaled(folder: Path) -> Stack:
    """All layers of a model, each behind a scale."""
    model = ModelReference.of(folder)
    return tuple(Hop(model, layer, scale) for layer, scale in enumerate(SCALES))


def folded(stack: Stack, out: Path) -> Path:
    """The checkpoint of a stack."""
    anchor = stack[0].model
    slices = slices_of(stack, anchor, family_in(Path(anchor.path)))
    return merge(Recipe.from_tree({"merge_method": "passthrough", "slices": slices}), out)


def hooked(model: PreTrainedModel, family: Family, stack: Stack) -> PreTrainedModel:
    """A model that multiplies its stream before each layer."""
    layers = model.base_model.get_submodule(family.layers.rstrip("."))
    for hop in stack:
        layers[hop.layer].register_forward_pre_hook(
            lambda _, args, factor=hop.scale: (args[0] * factor, *args[1:])
        )
    return model


def logits(model: PreTrainedModel) -> Tensor:
    with torch.no_grad():
        return model(torch.arange(3, 35).reshape(2, 16)).logits


def apart(one: Tensor, other: Tensor) -> float:
    """The largest difference, as a share of the largest logit."""
    return float((one - other).abs().max() / one.abs().max())


@pytest.mark.parametrize("kind", KINDS)
def test_folding_is_exact(tmp_path: Path, kind: str):
    base = made(tmp_path / "base", kind)
    stack = scaled(base)
    plain, other = loaded(base), loaded(folded(stack, tmp_path / "folded"))
    before = logits(plain)
    streamed = hooked(plain, family_in(base), stack)
    assert apart(logits(streamed), logits(other)) < AS_DOCUMENTED
    assert apart(logits(streamed), before) > 100 * TOLERANCE
    pair = [logits(without_epsilons(model)) for model in (streamed, other)]
    assert apart(*pair) < TOLERANCE


def test_every_family_that_is_known_is_among_them():
    found = {family_of({"architectures": [architecture(kind)]}, (), kind).name for kind in KINDS}
    assert found == {family.name for family in FAMILIES if family.residual}


def test_a_switch_under_which_folding_is_not_exact_is_refused_by_name(tmp_path: Path):
    base = made(tmp_path / "base", "bloom", apply_residual_connection_post_layernorm=True)
    with pytest.raises(RecipeError, match="BLOOM with apply_residual"):
        folded(scaled(base), tmp_path / "folded")
