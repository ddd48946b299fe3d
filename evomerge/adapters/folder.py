"""Writes an adapter that PEFT and transformers read [1], whole or not at all.

Scaling is in the factors: alpha is the rank, for every module. Lengths (DoRA) are in float32
whatever the rest is in, as each is a factor on a whole row of the model.

[1] https://huggingface.co/docs/peft/developer_guides/checkpoint
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from evomerge.adapters.adapter import BIAS, PREFIX
from evomerge.adapters.sources import Matrix, Whole
from evomerge.adapters.updates import Floats, Update
from evomerge.checkpoint.tensors import TensorInfo
from evomerge.checkpoint.weights import ADAPTER_CONFIG
from evomerge.checkpoint.writer import FolderWriter
from evomerge.dtypes import FLOAT16, FLOAT32, DType
from evomerge.errors import MergeError

_FILE = "adapter_model"


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


@dataclass(frozen=True)
class Described:
    """What adapter_config.json says of a whole adapter.

    Attributes:
        base: what PEFT should call the base.
        task: such as ``CAUSAL_LM``; empty if unknown.
        fan_in_fan_out: whether the base stores its matrices ``(inputs, outputs)``.
        wholes: biases and tensors of modules that it has beside factors.
    """

    base: str
    task: str
    fan_in_fan_out: bool
    wholes: Sequence[Whole] = ()


class AdapterWriter:
    """An adapter in the making: nothing of it shows under its name before `commit`."""

    def __init__(
        self, out: Path, slots: Sequence[Slot], described: Described, dtype: DType, *, force: bool
    ) -> None:
        """Checks the place, and changes nothing.

        Raises:
            OutputError: ``out`` must not be written, or the disk is too full.
        """
        self._slots, self._described, self._dtype = slots, described, dtype
        wrapped = {slot.matrix.module for slot in slots}
        self._wholes = {whole: _info(whole, dtype, wrapped) for whole in described.wholes}
        infos = [info for slot in slots for info in slot.infos(dtype)] + [*self._wholes.values()]
        whole = sum(info.nbytes for info in infos)
        self._writer = FolderWriter(out, infos, shard_bytes=whole, force=force, name=_FILE)
        self.nbytes = whole

    def write(
        self,
        fillings: Iterable[Filling],
        card: Callable[[Path], None],
        wholes: Iterable[tuple[Whole, int, Floats]] = (),
    ) -> None:
        """Writes what goes into each slot, and the rest, and then puts the folder in place.

        Args:
            fillings: in the order of the slots.
            card: writes README.md into the folder it is given.
            wholes: blocks of what stands beside the slots, and how many elements are before them.

        Raises:
            OutputError: the folder cannot be written.
            MergeError: a number is too large for the type.
        """
        with self._writer as writer:
            for slot, filling in zip(self._slots, fillings, strict=True):
                factors = _factors(filling.update, slot.rank)
                arrays = factors if filling.lengths is None else (*factors, filling.lengths)
                for info, array in zip(slot.infos(self._dtype), arrays, strict=True):
                    writer.write(info.name, 0, _rounded(info, array))
            for whole, offset, block in wholes:
                info = self._wholes[whole]
                writer.write(info.name, offset, _rounded(info, block))
            text = json.dumps(adapter_config(self._slots, self._described), indent=2)
            (writer.folder / ADAPTER_CONFIG).write_text(text + "\n", encoding="utf-8")
            card(writer.folder)
            writer.commit()


def _info(whole: Whole, dtype: DType, wrapped: Collection[str]) -> TensorInfo:
    """What PEFT calls a tensor, which is inside another module where there are factors beside."""
    module, _, part = whole.parameter.rpartition(".")
    inside = "base_layer." * (PREFIX + module in wrapped)
    return TensorInfo(f"{PREFIX}{module}.{inside}{part}", whole.shape, dtype)


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


def adapter_config(slots: Sequence[Slot], described: Described) -> dict[str, object]:
    """The content of adapter_config.json, for PEFT's ``LoraConfig``."""
    ranks = {slot.matrix.module.removeprefix(PREFIX): slot.rank for slot in slots}
    largest = max(ranks.values())
    other = {re.escape(module): rank for module, rank in ranks.items() if rank != largest}
    wholes = described.wholes
    saved = {whole.module for whole in wholes if whole.saved}
    biased = {whole.module for whole in wholes if whole.parameter.endswith(BIAS)} - saved
    config: dict[str, object] = {
        "peft_type": "LORA",
        "task_type": described.task or None,
        "base_model_name_or_path": described.base,
        "inference_mode": True,
        "r": largest,
        "lora_alpha": largest,
        "rank_pattern": other,
        "alpha_pattern": other,
        "lora_dropout": 0.0,
        "use_rslora": False,
        "use_dora": any(slot.decomposed for slot in slots),
        "bias": "none" if not biased else "lora_only" if biased <= ranks.keys() else "all",
        "fan_in_fan_out": described.fan_in_fan_out,
        "target_modules": sorted(ranks),
        "modules_to_save": sorted(saved) or None,
        "init_lora_weights": True,
    }
    # A key of late: older versions of PEFT are not told of it where it says nothing.
    return config | ({"ensure_weight_tying": True} if any(w.tied for w in wholes) else {})
