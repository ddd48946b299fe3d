"""The diagonal of the Fisher information: mean squares of gradients, example by example.

F is the mean over examples x, and over outcomes y that the model draws for x, of (∂ log p(y|x))².
Squaring the gradient of a whole batch instead gives another number: in the sum, gradients of
different examples cancel before they are squared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor
from torch.nn import Parameter
from torch.utils.hooks import RemovableHandle

from evomerge.noise import DRAWS, draws, noise_key


class SquaredGradients:
    """Sums of squared gradients. One gradient is in memory at a time, not that of all parameters.

    Attributes:
        sums: of each parameter, by name.
        examples: how many have been added.
    """

    def __init__(self, parameters: Mapping[str, Parameter]) -> None:
        """``parameters`` are those to look at; each is asked for gradients until `close`."""
        self.sums = {name: torch.zeros_like(each) for name, each in parameters.items()}
        self.examples = 0
        self._parameters = parameters
        self._hooks: list[RemovableHandle] = []
        for name, each in parameters.items():
            each.requires_grad_(True)
            hook = each.register_post_accumulate_grad_hook(self._squaring(name))
            self._hooks.append(hook)

    def add(self, log_probability: Tensor) -> None:
        """Adds one example: the logarithm of the probability of its outcome, a scalar."""
        torch.autograd.backward(log_probability)
        self.examples += 1

    def mean(self) -> dict[str, Tensor]:
        """The mean over the examples of each parameter's squared gradient."""
        return {name: total / self.examples for name, total in self.sums.items()}

    def close(self) -> None:
        """Leaves the parameters as they are, without gradients."""
        for hook in self._hooks:
            hook.remove()
        for each in self._parameters.values():
            each.requires_grad_(False)

    def _squaring(self, name: str) -> Callable[[Tensor], None]:
        def square(parameter: Tensor) -> None:
            if parameter.grad is not None:
                self.sums[name] += parameter.grad.square()
                parameter.grad = None

        return square


def drawn(logits: Tensor, seed: int, item: int) -> Tensor:
    """An outcome for each row of ``(positions, outcomes)``, drawn with the model's probabilities.

    The draw of a row has an address, the seed, the item and the row: whatever the batch, it is
    the same.
    """
    uniform = draws(noise_key(seed, item, "fisher"), 0, len(logits)).astype(np.float64) / DRAWS
    chances = torch.softmax(logits.detach().to("cpu", torch.float64), dim=-1).cumsum(dim=-1)
    wanted = torch.from_numpy(uniform)[:, None] * chances[:, -1:]
    found = torch.searchsorted(chances, wanted, right=True).squeeze(1)
    # Of chances that are not numbers none is found.
    return found.clamp(max=logits.shape[1] - 1).to(logits.device)


def log_probability(logits: Tensor, outcomes: Tensor) -> Tensor:
    """The sum over ``(positions, outcomes)`` of the outcomes' log-probabilities."""
    chances = torch.log_softmax(logits.float(), dim=-1)
    return chances.gather(1, outcomes[:, None]).sum()


def not_finite(found: Mapping[str, Tensor]) -> str | None:
    """The first name whose numbers are not all finite; None if all are."""
    return next((name for name, each in found.items() if not each.isfinite().all()), None)
