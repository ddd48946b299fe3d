"""Gram matrices of what goes into linear layers: XᵀX over tokens, with a last input of 1.

Layers that are given the very same input, such as the projections to queries, keys and values,
share one matrix.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

Hook = Callable[[nn.Module, tuple[Tensor, ...]], None]


def is_linear(module: nn.Module) -> bool:
    """Whether a module is a matrix, and perhaps a bias: also GPT-2's, which is stored turned."""
    return isinstance(module, nn.Linear | Conv1D)


@dataclass
class Grams:
    """Gram matrices of some layers, over all that they are shown.

    Attributes:
        modules: the linear layers, by name.
        leaders: for each layer that was shown something, the one whose matrix it shares.
        sums: ``(inputs + 1, inputs + 1)`` for each leader, float64.
    """

    modules: Mapping[str, nn.Module]
    leaders: dict[str, str] = field(default_factory=dict)
    sums: dict[str, Tensor] = field(default_factory=dict)

    @contextmanager
    def watching(self, counted: Tensor) -> Iterator[None]:
        """Adds what goes into the layers meanwhile.

        Args:
            counted: ``(items, tokens)``: which tokens count; the others fill up short items. What
                has no row for each token is not a layer of tokens, and is passed over.
        """
        seen: dict[int, tuple[str, Tensor]] = {}
        with ExitStack() as hooks, torch.no_grad():
            for name, module in self.modules.items():
                hook = self._hook(name, counted.reshape(-1), seen)
                hooks.callback(module.register_forward_pre_hook(hook).remove)
            yield

    def _hook(self, name: str, counted: Tensor, seen: dict[int, tuple[str, Tensor]]) -> Hook:
        def add(_: nn.Module, arguments: tuple[Tensor, ...]) -> None:
            shown = arguments[0]
            # What is in ``seen`` is alive, so no other tensor has its id.
            first = seen.setdefault(id(shown), (name, shown))[0]
            if self.leaders.setdefault(name, first) == name:
                self._add(name, shown, counted)

        return add

    def _add(self, name: str, shown: Tensor, counted: Tensor) -> None:
        rows = shown.detach().reshape(-1, shown.shape[-1])
        if len(rows) != len(counted):
            return
        rows = rows[counted]
        ones = torch.ones(len(rows), 1, dtype=rows.dtype, device=rows.device)
        rows = torch.cat([rows, ones], dim=1)
        product = (rows.T @ rows).to("cpu", torch.float64)
        self.sums[name] = self.sums[name] + product if name in self.sums else product
