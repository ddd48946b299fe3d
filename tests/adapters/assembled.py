"""What a merge of whole adapters must be: put together by hand from what PEFT has loaded."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from peft import PeftModel
from peft.tuners.lora import LoraLayer
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import AutoModelForCausalLM


@dataclass(frozen=True)
class Adapted:
    """A matrix with one adapter: what is added, and the lengths of its rows or columns."""

    delta: Tensor
    lengths: Tensor
    axis: int  # along which they are taken
    dora: bool


def by_hand(
    base: Path, adapters: Sequence[Path], shares: Sequence[float], scale: float
) -> Mapping[str, np.ndarray]:
    """Every tensor of the base with the linear merge of adapters, by its name on disk."""
    start = {name: each.double() for name, each in load_file(base / "model.safetensors").items()}
    if "model.embed_tokens.weight" in start:
        start.setdefault("lm_head.weight", start["model.embed_tokens.weight"])
    models = [peft_model(base, adapter) for adapter in adapters]
    matrices = [_matrices(model) for model in models]
    alone = [model.merge_and_unload().state_dict() for model in models]
    made = {
        name: tensor
        + scale * sum(w * (a[name] - tensor) for w, a in zip(shares, alone, strict=True))
        for name, tensor in start.items()
    }
    for name in {name for each in matrices for name in each}:
        made[name] = _matrix(start[name], [each.get(name) for each in matrices], shares, scale)
    return {name: tensor.numpy() for name, tensor in made.items()}


def _matrix(
    start: Tensor, adapted: Sequence[Adapted | None], shares: Sequence[float], scale: float
) -> Tensor:
    axis = next(each.axis for each in adapted if each)
    zero = Adapted(torch.zeros_like(start), start.norm(dim=axis), axis, dora=False)
    parts = [(share, each or zero) for share, each in zip(shares, adapted, strict=True)]
    changed = start + scale * sum(share * each.delta for share, each in parts)
    if not any(each.dora for _, each in parts):
        return changed
    lengths = zero.lengths + scale * sum(w * (each.lengths - zero.lengths) for w, each in parts)
    return changed * (lengths / changed.norm(dim=axis)).unsqueeze(axis)


def _matrices(model: PeftModel) -> dict[str, Adapted]:
    found = {}
    for name, module in model.base_model.model.named_modules():
        if not isinstance(module, LoraLayer):
            continue
        delta = module.get_delta_weight("default").double().detach()
        weight = module.get_base_layer().weight.double().detach()
        axis = int(isinstance(module.get_base_layer(), nn.Linear))
        lengths = (weight + delta).norm(dim=axis)
        dora = "default" in module.lora_magnitude_vector
        if dora:
            lengths = module.lora_magnitude_vector["default"].weight.double().detach()
        found[f"{name}.weight"] = Adapted(delta, lengths, axis, dora)
    return found


def peft_model(base: Path, adapter: Path) -> PeftModel:
    """Loaded by PEFT, for evaluation; refuses keys that are missing, or find no place."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = AutoModelForCausalLM.from_pretrained(base)
        wrapped = PeftModel.from_pretrained(model, adapter)
        found = wrapped.load_adapter(adapter, "default")
    assert not found.missing_keys
    assert not found.unexpected_keys
    return wrapped.eval()
