"""Models without weights, made by transformers' own classes as its loader makes them.

The loader makes a model without memory, gives it the weights, and computes what no checkpoint
holds: frequencies of rotary embeddings, masks. A shell gets all but the weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import nn
from transformers import GenerationConfig, PreTrainedConfig, PreTrainedModel
from transformers.initialization import no_init_weights

from evomerge.workbench.places import stored


@dataclass(frozen=True)
class Caster:
    """Makes shells of one class of models.

    Attributes:
        kind: the class.
        config_kind: of its configs.
        path: what the models say they were read from.
        generation: their settings for generation.
    """

    kind: type[PreTrainedModel]
    config_kind: type[PreTrainedConfig]
    path: str
    generation: GenerationConfig | None

    @staticmethod
    def like(model: PreTrainedModel) -> Caster:
        """Of models that differ from ``model`` in their layers alone."""
        config = model.config
        generation = deepcopy(getattr(model, "generation_config", None))
        return Caster(type(model), type(config), config.name_or_path, generation)

    def shell(self, config: Mapping[str, object]) -> PreTrainedModel:
        """The model of a config.json; its weights are on torch's ``meta`` device."""
        settings = self.config_kind.from_dict(deepcopy(dict(config)))
        settings.name_or_path = self.path
        with torch.device("meta"), no_init_weights():
            model: PreTrainedModel = self.kind._from_config(settings)
        model.tie_weights()
        _compute_buffers(model)
        if self.generation is not None:
            model.generation_config = deepcopy(self.generation)
        return model.eval().requires_grad_(False)


def equal(shell: PreTrainedModel, loaded: PreTrainedModel) -> bool:
    """Whether a shell is the model that was loaded, but for its weights."""
    ours, theirs = stored(shell), stored(loaded)
    buffers = dict(loaded.named_buffers())
    return (
        list(ours) == list(theirs)
        and all(_alike(tensor, theirs[name]) for name, tensor in ours.items())
        and _ties(ours) == _ties(theirs)
        and [name for name, _ in shell.named_buffers()] == list(buffers)
        and all(
            name in ours or _same(buffer, buffers[name]) for name, buffer in shell.named_buffers()
        )
        and _settings(shell) == _settings(loaded)
    )


def give_memory(shell: PreTrainedModel, device: str) -> Mapping[str, torch.Size]:
    """Moves a shell to a device where its weights have no elements; returns their true shapes."""
    shapes = {name: tensor.shape for name, tensor in stored(shell).items()}
    made: dict[int, torch.Tensor] = {}
    tables = [table for each in shell.modules() for table in (each._parameters, each._buffers)]
    for table in tables:
        for name, tensor in table.items():
            if tensor is not None and tensor.is_meta:
                table[name] = made.setdefault(id(tensor), _without_elements(tensor))
    if device != "cpu":
        shell.to(device)
    return shapes


def _compute_buffers(model: PreTrainedModel) -> None:
    """What no checkpoint holds is computed by the model's own class, as after loading."""
    weights = stored(model).values()
    for tensor in weights:
        tensor._is_hf_initialized = True  # type: ignore[attr-defined]
    kept = {id(tensor) for tensor in weights}
    for module in model.modules():
        for name, buffer in module._buffers.items():
            if buffer is not None and id(buffer) not in kept:
                module._buffers[name] = torch.empty_like(buffer, device="cpu")
    model.initialize_weights()


def _without_elements(tensor: torch.Tensor) -> torch.Tensor:
    empty = torch.empty(0, dtype=tensor.dtype)
    is_parameter = isinstance(tensor, nn.Parameter)
    return nn.Parameter(empty, requires_grad=False) if is_parameter else empty


def _alike(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.shape == other.shape and one.dtype == other.dtype


def _same(one: torch.Tensor, other: torch.Tensor) -> bool:
    return _alike(one, other) and torch.equal(one, other.to(one.device))


def _ties(tensors: Mapping[str, torch.Tensor]) -> list[int]:
    """For each name, the place of the first that has the same tensor."""
    first: dict[int, int] = {}
    return [first.setdefault(id(each), place) for place, each in enumerate(tensors.values())]


def _settings(model: PreTrainedModel) -> object:
    config = model.config
    generation = getattr(model, "generation_config", None)
    return (
        type(model),
        config.to_dict(),
        config._attn_implementation,
        model.training,
        None if generation is None else generation.to_dict(),
    )
