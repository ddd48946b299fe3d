"""Networks with LinearMergers in the place of their linear layers, and back."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from evomerge.linear_merger import Asymmetric, LinearMerger, Zeros, with_masks, without_masks
from tests.linear_merger.networks import network, noise


def kinds(module: nn.Module) -> dict[str, type]:
    return {name: type(child) for name, child in module.named_modules() if name}


def test_all_linear_layers_are_converted_and_nothing_else():
    dense = network(0, 6, 8, 3)
    masked = with_masks(dense)
    assert kinds(masked) == {
        "0": LinearMerger, "1": nn.LayerNorm, "2": nn.GELU, "3": LinearMerger,
    }  # fmt: skip
    assert kinds(dense)["0"] is nn.Linear


def test_what_is_free_begins_as_it_would_have_begun():
    dense = network(0, 6, 8, 3)
    masked = with_masks(dense)
    for name in "03":
        layer, before = masked.get_submodule(name), dense.get_submodule(name)
        assert torch.equal(layer.weight[layer.mask], before.weight[layer.mask])
        assert torch.equal(layer.bias, before.bias)


def test_some_layers_by_name_each_with_its_mask():
    masked = with_masks(network(0, 16, 16, 16, 3), {"0": Asymmetric(scale=0.5), "3": "upper"})
    assert [name for name, kind in kinds(masked).items() if kind is LinearMerger] == ["0", "3"]
    expected = Asymmetric(scale=0.5).pattern(16, 16, "0")
    assert torch.equal(masked.get_submodule("0").frozen, expected.frozen)
    assert torch.equal(masked.get_submodule("3").mask, torch.ones(16, 16).triu().bool())


def test_layers_of_one_shape_have_each_its_own_fixed_part():
    masked = with_masks(network(0, 16, 16, 16, 16))
    masks = [m.mask for m in masked.modules() if isinstance(m, LinearMerger)]
    assert len(masks) == 3
    assert not any(torch.equal(masks[i], masks[j]) for i, j in ((0, 1), (0, 2), (1, 2)))


def test_a_network_without_masks_computes_the_same():
    masked = with_masks(network(0, 6, 8, 3))
    plain = without_masks(masked)
    assert not any(isinstance(module, LinearMerger) for module in plain.modules())
    torch.testing.assert_close(plain(noise(1, 5, 6)), masked(noise(1, 5, 6)))
    assert plain.state_dict().keys() == network(0, 6, 8, 3).state_dict().keys()


def test_a_layer_by_itself_is_a_network_too():
    masked = with_masks(nn.Linear(8, 4))
    assert type(masked) is LinearMerger
    assert type(without_masks(masked)) is nn.Linear


def test_a_layer_in_two_places_stays_one():
    twice = nn.Linear(6, 6)
    masked = with_masks(nn.Sequential(twice, nn.ReLU(), twice))
    assert type(masked[0]) is LinearMerger
    assert masked[0] is masked[2]


@pytest.mark.parametrize("gradients", [True, False])
def test_a_library_that_reads_the_weight_gets_all_of_it(gradients: bool):
    """nn.TransformerEncoderLayer takes the weights out of its layers and multiplies itself."""
    block = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, dropout=0).eval()
    masked = with_masks(block)
    assert kinds(masked)["self_attn.out_proj"] is LinearMerger
    with torch.set_grad_enabled(gradients):
        inputs = noise(0, 2, 5, 8)
        torch.testing.assert_close(masked(inputs), without_masks(masked)(inputs))
        assert not torch.allclose(masked(inputs), block(inputs), atol=1e-2)


def test_a_name_that_is_no_linear_layer_is_refused():
    with pytest.raises(ValueError, match=r"unknown linear layer '1'\n *available: 0, 3"):
        with_masks(network(0, 6, 8, 3), {"1": Zeros()})


def tied() -> nn.Module:
    table, head = nn.Embedding(10, 4), nn.Linear(4, 10, bias=False)
    head.weight = table.weight
    return nn.Sequential(table, head)


class Shouting(nn.Linear):
    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return 2 * super().forward(inputs)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (tied, "1: its weight is tied to another layer's; untie it, or name the layers"),
        (lambda: weight_norm(nn.Linear(4, 4)), "network: its weight is parametrized"),
        (lambda: Shouting(4, 4), "network: Shouting has a forward of its own"),
        (lambda: nn.LazyLinear(4), "network: has no weights yet; run the network once"),
    ],
    ids=["tied", "parametrized", "with a forward of its own", "lazy"],
)
def test_layers_that_cannot_be_converted_are_refused(made, message: str):
    with pytest.raises(ValueError, match=message):
        with_masks(made())
