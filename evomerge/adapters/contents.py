"""An adapter as PEFT has it in its files [1]: tensors by name, and the config that goes with them.

Scaling is in the factors: alpha is the rank, for every module. Lengths (DoRA) are in float32
whatever the rest is in, as each is a factor on a whole row of the model.

[1] https://huggingface.co/docs/peft/developer_guides/checkpoint
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from evomerge.adapters.adapter import BIAS, PREFIX
from evomerge.adapters.sources import Matrix, Whole
from evomerge.adapters.updates import Floats, Update
from evomerge.checkpoint.tensors import TensorInfo
from evomerge.dtypes import FLOAT16, FLOAT32, DType
from evomerge.errors import MergeError


@dataclass(frozen=True)
class Slot:
    """Where the update of one matrix will stand.

    Attributes:
        matrix: which.
        rank: columns of its factors, at least 1.
        decomposed: whether it has lengths (DoRA): all slots of an adapter have them, or none.
    """

    matrix: Matrix
    rank: int
    decomposed: bool = False

    def infos(self, dtype: DType) -> list[TensorInfo]:
        """B ``(outputs, rank)`` and A ``(rank, inputs)``, and perhaps lengths ``(outputs,)``."""
        (up, down), (outputs, inputs) = self.matrix.factors, self.matrix.shape
        factors = [
            TensorInfo(up, (outputs, self.rank), dtype),
            TensorInfo(down, (self.rank, inputs), dtype),
        ]
        lengths = TensorInfo(self.matrix.lengths, (outputs,), FLOAT32)
        return [*factors, lengths] if self.decomposed else factors


class Filling(NamedTuple):
    """What goes into a slot.

    Attributes:
        update: of the matrix.
        lengths: ``(outputs,)``, if the slot has them.
    """

    update: Update
    lengths: Floats | None = None


class Part(NamedTuple):
    """Rows of a tensor of the file.

    Attributes:
        name: of the tensor.
        offset: how many of its elements stand before them.
        array: in the tensor's type.
    """

    name: str
    offset: int
    array: np.ndarray


@dataclass(frozen=True)
class Contents:
    """What is in the files of an adapter.

    Attributes:
        slots: the matrices that it changes by factors; at least one.
        wholes: biases and tensors of modules that it has beside them.
        base: what PEFT should call the base.
        task: such as ``CAUSAL_LM``; empty if unknown.
        fan_in_fan_out: whether the base stores its matrices ``(inputs, outputs)``.
        dtype: of the tensors, but for lengths.
    """

    slots: Sequence[Slot]
    wholes: Sequence[Whole]
    base: str
    task: str
    fan_in_fan_out: bool
    dtype: DType

    @property
    def infos(self) -> list[TensorInfo]:
        """All tensors, in the order of `parts`."""
        factors = [info for slot in self.slots for info in slot.infos(self.dtype)]
        return [*factors, *(self._info(whole) for whole in self.wholes)]

    def parts(
        self, fillings: Iterable[Filling], wholes: Iterable[tuple[Whole, int, Floats]]
    ) -> Iterator[Part]:
        """The tensors, part by part.

        Args:
            fillings: of the slots, in their order.
            wholes: blocks of the rest, and how many elements are before them.

        Raises:
            MergeError: a number is too large for the type.
        """
        for slot, filling in zip(self.slots, fillings, strict=True):
            factors = _factors(filling.update, slot.rank)
            arrays = factors if filling.lengths is None else (*factors, filling.lengths)
            for info, array in zip(slot.infos(self.dtype), arrays, strict=True):
                yield Part(info.name, 0, _rounded(info, array))
        for whole, offset, block in wholes:
            info = self._info(whole)
            yield Part(info.name, offset, _rounded(info, block))

    def config(self) -> dict[str, object]:
        """The content of adapter_config.json, for PEFT's ``LoraConfig``."""
        ranks = {slot.matrix.module.removeprefix(PREFIX): slot.rank for slot in self.slots}
        largest = max(ranks.values())
        other = {re.escape(module): rank for module, rank in ranks.items() if rank != largest}
        saved = {whole.module for whole in self.wholes if whole.saved}
        biased = {whole.module for whole in self.wholes if whole.parameter.endswith(BIAS)} - saved
        config: dict[str, object] = {
            "peft_type": "LORA",
            "task_type": self.task or None,
            "base_model_name_or_path": self.base,
            "inference_mode": True,
            "r": largest,
            "lora_alpha": largest,
            "rank_pattern": other,
            "alpha_pattern": other,
            "lora_dropout": 0.0,
            "use_rslora": False,
            "use_dora": any(slot.decomposed for slot in self.slots),
            "bias": "none" if not biased else "lora_only" if biased <= ranks.keys() else "all",
            "fan_in_fan_out": self.fan_in_fan_out,
            "target_modules": sorted(ranks),
            "modules_to_save": sorted(saved) or None,
            "init_lora_weights": True,
        }
        # Versions of PEFT that do not know this key are not told of it where it says nothing.
        tied = any(whole.tied for whole in self.wholes)
        return config | ({"ensure_weight_tying": True} if tied else {})

    def _info(self, whole: Whole) -> TensorInfo:
        """What PEFT calls a tensor: inside another module where there are factors beside it."""
        module, _, part = whole.parameter.rpartition(".")
        adapted = any(slot.matrix.module == PREFIX + module for slot in self.slots)
        inside = "base_layer." if adapted else ""
        return TensorInfo(f"{PREFIX}{module}.{inside}{part}", whole.shape, self.dtype)


def _rounded(info: TensorInfo, array: Floats) -> np.ndarray:
    with np.errstate(over="ignore"):
        rounded = array.astype(info.dtype)
    if info.dtype == FLOAT16 and not np.isfinite(rounded).all():
        raise MergeError(f"{info.name}: outgrows float16; write it in another dtype")
    return rounded


def _factors(update: Update, rank: int) -> tuple[np.ndarray, np.ndarray]:
    """B and A of exactly this rank: with zeros where there is less, exact where there is more."""
    if update.rank > rank:
        update = update.balanced().cut(rank)
    wide = ((0, 0), (0, rank - update.rank))
    return np.pad(update.left, wide), np.ascontiguousarray(np.pad(update.right, wide).T)
