"""Training pairs what belongs together, is the same each time, and touches nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from evomerge.linear_merger import Examples, Training, accuracy, mean_loss, train
from tests.linear_merger.networks import classes, network, noise

SHORT = Training(epochs=5, batch=16, rate=1e-2)


def test_it_learns():
    model, examples = network(0, 6, 32, 3), classes(1, 200)
    losses = train(model, examples, Training(epochs=20, batch=16, rate=1e-2))
    assert len(losses) == 20
    assert losses[-1] < losses[0] / 4
    assert accuracy(model, classes(2, 200)) > 0.9


def test_every_example_is_seen_once_an_epoch_beside_its_own_target():
    seen: list[tuple[float, float]] = []

    def record(predictions: Tensor, targets: Tensor) -> Tensor:
        seen.extend(zip(predictions[:, 0].tolist(), targets[:, 0].tolist(), strict=True))
        return (predictions * 0).sum()

    inputs = torch.arange(10.0)[:, None]
    same = nn.Linear(1, 1).requires_grad_(False)
    same.weight.fill_(1)
    same.bias.requires_grad_(True).data.zero_()
    train(same, Examples(inputs, 3 * inputs), Training(epochs=2, batch=4, loss=record))
    assert seen[:10] != seen[10:]
    for epoch in (seen[:10], seen[10:]):
        assert sorted(epoch) == [(float(n), 3.0 * n) for n in range(10)]
        assert epoch != sorted(epoch)


def trained(training: Training) -> Tensor:
    model = nn.Sequential(*network(0, 6, 16, 16), nn.Dropout(0.5), nn.Linear(16, 3, bias=False))
    model[-1].load_state_dict({"weight": noise(3, 3, 16)})
    train(model, classes(1, 50), training)
    return model.eval()(noise(0, 4, 6))


def test_the_same_seed_gives_the_same_network_dropout_included():
    torch.manual_seed(1)
    first = trained(SHORT)
    torch.manual_seed(2)
    assert torch.equal(trained(SHORT), first)
    assert not torch.equal(trained(replace(SHORT, seed=1)), first)


def test_the_global_generator_and_the_mode_are_left_as_they_were():
    model, examples = network(0, 6, 8, 3).eval(), classes(1, 20)
    before = torch.get_rng_state()
    train(model, examples, SHORT)
    assert torch.equal(torch.get_rng_state(), before)
    assert not model.training
    train(model.train(), examples, SHORT)
    mean_loss(model, examples)
    assert model.training


def test_scores_are_without_dropout_and_leave_statistics_alone():
    model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 3))
    examples = classes(1, 40)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert mean_loss(model, examples) == mean_loss(model, examples)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_accuracy_and_loss_by_hand():
    model = nn.Identity()
    examples = Examples(torch.tensor([[2.0, 0.0], [0.0, 2.0], [2.0, 0.0]]), torch.tensor([0, 1, 1]))
    assert accuracy(model, examples) == pytest.approx(2 / 3)
    right, wrong = 0.126928, 2.126928  # ln(1 + e⁻²) and ln(1 + e²)
    assert mean_loss(model, examples) == pytest.approx((2 * right + wrong) / 3, abs=1e-5)


def test_targets_that_would_be_broadcast_are_refused():
    """(n, 1) against (n,) compares every prediction with every target, and trains to the mean."""
    model, inputs = network(0, 6, 8, 1), noise(1, 20, 6)
    lying, upright = Examples(inputs, inputs[:, 0]), Examples(inputs, inputs[:, :1])
    training = replace(SHORT, loss=mse_loss)
    message = r"targets: have shape \(16,\), predictions \(16, 1\); expected one shape"
    with pytest.raises(ValueError, match=message):
        train(model, lying, training)
    with pytest.raises(ValueError, match=r"targets: have shape \(20,\)"):
        mean_loss(model, lying, mse_loss)
    assert train(model, upright, replace(training, epochs=20))[-1] < 0.5


@pytest.mark.parametrize(("inputs", "targets"), [(3, 2), (0, 0)])
def test_examples_that_do_not_pair_are_refused(inputs: int, targets: int):
    with pytest.raises(ValueError, match=f"found {inputs} inputs and {targets} targets"):
        Examples(torch.zeros(inputs, 2), torch.zeros(targets))
