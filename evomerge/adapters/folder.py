"""Writes an adapter that PEFT and transformers read [1], whole or not at all.

Scaling is in the factors: alpha is the rank, for every module.

[1] https://huggingface.co/docs/peft/developer_guides/checkpoint
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from evomerge.adapters.sources import Matrix
from evomerge.adapters.updates import Update
from evomerge.checkpoint.tensors import TensorInfo
from evomerge.checkpoint.weights import ADAPTER_CONFIG
from evomerge.checkpoint.writer import FolderWriter
from evomerge.dtypes import FLOAT16, DType
from evomerge.errors import MergeError

_PREFIX = "base_model.model."
_FILE = "adapter_model"


@dataclass(frozen=True)
class Slot:
    """Where the update of one matrix will stand.

    Attributes:
        matrix: which.
        rank: columns of its factors, at least 1.
    """

    matrix: Matrix
    rank: int

    def infos(self, dtype: DType) -> list[TensorInfo]:
        """B ``(outputs, rank)`` and A ``(rank, inputs)``."""
        (up, down), (outputs, inputs) = self.matrix.factors, self.matrix.shape
        return [
            TensorInfo(up, (outputs, self.rank), dtype),
            TensorInfo(down, (self.rank, inputs), dtype),
        ]


@dataclass(frozen=True)
class Described:
    """What adapter_config.json says of a whole adapter.

    Attributes:
        base: what PEFT should call the base.
        task: such as ``CAUSAL_LM``; empty if unknown.
        fan_in_fan_out: whether the base stores its matrices ``(inputs, outputs)``.
    """

    base: str
    task: str
    fan_in_fan_out: bool


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
        infos = [info for slot in slots for info in slot.infos(dtype)]
        whole = sum(info.nbytes for info in infos)
        self._writer = FolderWriter(out, infos, shard_bytes=whole, force=force, name=_FILE)
        self.nbytes = whole

    def write(self, updates: Iterable[Update], card: Callable[[Path], None]) -> None:
        """Writes the updates, one for each slot, and then puts the folder in place.

        Args:
            updates: in the order of the slots.
            card: writes README.md into the folder it is given.

        Raises:
            OutputError: the folder cannot be written.
            MergeError: a number is too large for the type.
        """
        with self._writer as writer:
            for slot, update in zip(self._slots, updates, strict=True):
                for info, factor in zip(
                    slot.infos(self._dtype), _factors(update, slot.rank), strict=True
                ):
                    writer.write(info.name, 0, self._rounded(info, factor))
            text = json.dumps(adapter_config(self._slots, self._described), indent=2)
            (writer.folder / ADAPTER_CONFIG).write_text(text + "\n", encoding="utf-8")
            card(writer.folder)
            writer.commit()

    def _rounded(self, info: TensorInfo, factor: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore"):
            rounded = factor.astype(self._dtype)
        if self._dtype == FLOAT16 and not np.isfinite(rounded).all():
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
    ranks = {slot.matrix.module.removeprefix(_PREFIX): slot.rank for slot in slots}
    largest = max(ranks.values())
    other = {re.escape(module): rank for module, rank in ranks.items() if rank != largest}
    return {
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
        "use_dora": False,
        "bias": "none",
        "fan_in_fan_out": described.fan_in_fan_out,
        "target_modules": sorted(ranks),
        "modules_to_save": None,
        "init_lora_weights": True,
    }
