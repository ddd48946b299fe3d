"""Whether a model that was moved computes what it did: the check at the end of every alignment."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from transformers import AutoModelForCausalLM, PreTrainedModel

from evomerge.errors import AlignmentError, CheckpointError
from evomerge.evaluators.loading import UNLOADABLE

# How much of the logits may change, by the precision in which they are computed.
TOLERANCES: Mapping[torch.dtype, float] = {torch.float32: 1e-4, torch.float64: 1e-10}
# Texts, and tokens in each, of the batch that is probed; drawn from seed 0.
TEXTS, TOKENS = 4, 24


class _Doubles(TorchFunctionMode):
    """Computes in float64 where transformers' norms and softmaxes ask for float32."""

    def __torch_function__(
        self,
        func: Callable[..., object],
        types: Sequence[type],
        args: Sequence[object] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        """One call of torch, in float64."""
        double = torch.float64
        given = [double if each is torch.float32 else each for each in args]
        named = {k: double if v is torch.float32 else v for k, v in (kwargs or {}).items()}
        call: Callable[..., object] = Tensor.double if func is Tensor.float else func
        return call(*given, **named)


def logits_of(model: PreTrainedModel) -> Tensor:
    """The logits of the probe batch: ``(texts, tokens, vocabulary)``."""
    size = model.get_input_embeddings().weight.shape[0]
    limit = getattr(model.config, "max_position_embeddings", TOKENS)
    generator = torch.Generator().manual_seed(0)
    shape = (TEXTS, min(TOKENS, limit))
    tokens = torch.randint(size, shape, generator=generator).to(model.device)
    given = {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)}
    with torch.inference_mode(), _Doubles() if model.dtype == torch.float64 else nullcontext():
        return model(**given).logits.cpu()


def logits_in(folder: Path, dtype: torch.dtype) -> Tensor:
    """The logits of a model folder, on the CPU; its memory is freed afterwards.

    Raises:
        CheckpointError: transformers cannot load it, or finds tensors missing.
    """
    try:
        model, report = AutoModelForCausalLM.from_pretrained(
            str(folder),
            dtype=dtype,
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
        )
    except UNLOADABLE as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise CheckpointError(f"{folder}: transformers cannot load it: {reason}") from error
    if missing := sorted(report["missing_keys"]):
        raise CheckpointError(f"{folder}: {missing[0]} is missing; download the model again")
    return logits_of(model.eval())


def changed_share(before: Tensor, after: Tensor) -> float:
    """How much logits changed, relative to their norm; if that is 0, by how much."""
    change, size = ((after - before).double().norm(), before.double().norm())
    return float(change / size if size > 0 else change)


def check_same(before: Tensor, after: Tensor, where: str) -> float:
    """How much logits changed, relative to their norm.

    Raises:
        AlignmentError: it is more than rounding.
    """
    change = changed_share(before, after)
    tolerance = TOLERANCES[before.dtype]
    if not change <= tolerance:
        raise AlignmentError(
            f"{where}: its logits would change by a share of {change:.2g}, and may by "
            f"{tolerance:g}; the move is no symmetry of this model, and nothing is written"
        )
    return change
