"""A linear layer some of whose weights are never trained."""

from __future__ import annotations

from copy import deepcopy
from math import sqrt

import torch
from torch import Tensor, nn
from torch.nn.functional import linear
from torch.nn.utils import skip_init

from evomerge.errors import LinearMergerError
from evomerge.linear_merger.masks import Mask, Pattern, mask_of


class LinearMerger(nn.Module):
    """``y = x Wᵀ + b``, where part of ``W`` is fixed: the same in all models to be merged.

    It stands wherever an ``nn.Linear`` does. ``weight`` is all of ``W``, the fixed part included;
    the parameter behind it is ``free``, which gets no gradient where the mask is False. Mask and
    frozen numbers are buffers of the state dict. Nothing is drawn from torch's global generator.
    """

    bias: nn.Parameter | None
    mask: Tensor
    frozen: Tensor

    def __init__(
        self,
        in_features: int,
        out_features: int,
        mask: Mask | str = "asymmetric",
        *,
        bias: bool = True,
        name: str = "",
        seed: int | None = None,
    ) -> None:
        """A layer with ``in_features`` inputs and ``out_features`` outputs, each 1 or more.

        Args:
            in_features: how many numbers come in.
            out_features: how many go out.
            mask: what is fixed: a mask, or the name of one with its usual settings.
            bias: whether there is a ``b``; all of it is trained.
            name: of the layer in its network. Layers of one network need different ones, or
                those of one shape have one fixed part.
            seed: of the initial weights, which are as those of ``nn.Linear``, uniform within
                1/√in_features. Without one they are different every time.

        Raises:
            LinearMergerError: for sizes below 1, or a mask that there is not.
        """
        super().__init__()
        for what, size in (("in_features", in_features), ("out_features", out_features)):
            if not isinstance(size, int) or size < 1:
                raise LinearMergerError(f"{what}: found {size}; expected a whole number from 1")
        self.in_features = in_features
        self.out_features = out_features
        pattern = mask_of(mask).pattern(out_features, in_features, name)
        generator = torch.Generator()
        if seed is None:
            generator.seed()
        else:
            generator.manual_seed(seed)
        bound = 1 / sqrt(in_features)
        weight = torch.empty(out_features, in_features).uniform_(-bound, bound, generator=generator)
        self._settle(weight, pattern)
        values = torch.empty(out_features).uniform_(-bound, bound, generator=generator)
        self.register_parameter("bias", nn.Parameter(values) if bias else None)

    @classmethod
    def of(cls, layer: nn.Linear, mask: Mask | str = "asymmetric", name: str = "") -> LinearMerger:
        """Like ``layer``, with the same weights where they are free, and the same bias."""
        pattern = mask_of(mask).pattern(layer.out_features, layer.in_features, name)
        made = cls.__new__(cls)
        nn.Module.__init__(made)
        made.in_features, made.out_features = layer.in_features, layer.out_features
        made._settle(layer.weight.detach(), pattern)
        made.free.requires_grad_(layer.weight.requires_grad)
        made.register_parameter("bias", deepcopy(layer.bias))
        return made.train(layer.training)

    def _settle(self, weight: Tensor, pattern: Pattern) -> None:
        """Takes over the free part of ``weight``, and the pattern for the rest."""
        mask = pattern.mask.to(weight.device)
        self.free = nn.Parameter(weight.masked_fill(~mask, 0))
        self.register_buffer("mask", mask)
        self.register_buffer("frozen", pattern.frozen.to(weight))

    @property
    def weight(self) -> Tensor:
        """All weights as they stand: ``(out_features, in_features)``."""
        return torch.where(self.mask, self.free, self.frozen)

    def twin(self) -> nn.Linear:
        """A layer that computes the same, all of whose weights are free."""
        made: nn.Linear = skip_init(
            nn.Linear,
            self.in_features,
            self.out_features,
            bias=self.bias is not None,
            device=self.free.device,
            dtype=self.free.dtype,
        )
        with torch.no_grad():
            made.weight.copy_(self.weight)
            if self.bias is not None:
                made.bias.copy_(self.bias)
        return made.train(self.training)

    def forward(self, inputs: Tensor) -> Tensor:
        """``(…, in_features)`` -> ``(…, out_features)``."""
        return linear(inputs, self.weight, self.bias)

    def extra_repr(self) -> str:
        """What stands between the brackets when the layer is shown."""
        fixed = self.mask.numel() - int(self.mask.sum())
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}, fixed={fixed}"
        )
