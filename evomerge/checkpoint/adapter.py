"""A LoRA adapter in PEFT's format, applied to its model while that is read.

No merged copy is written: a row of a changed matrix is computed from the same row of the model
and the factors, ``W + scaling · B A`` [1], in float32. What comes out equals PEFT's
``merge_and_unload`` of a float32 model.

[1] E. J. Hu et al. LoRA: low-rank adaptation of large language models. 2021.
    https://arxiv.org/abs/2106.09685
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from threading import Lock

import numpy as np

from evomerge.checkpoint.adapter_arithmetic import (
    add_product,
    column_norms,
    scale_columns,
    scale_rows,
    tiles,
)
from evomerge.checkpoint.adapter_changes import Change, LowRank
from evomerge.checkpoint.adapter_config import AdapterConfig, read_adapter_config
from evomerge.checkpoint.adapter_parts import Base, Tensors
from evomerge.checkpoint.adapter_plan import plan_changes
from evomerge.checkpoint.hub import label_of, locate
from evomerge.checkpoint.reader import Checkpoint
from evomerge.checkpoint.tensor_file import Rows, TensorFile
from evomerge.checkpoint.tensors import TensorInfo
from evomerge.checkpoint.weights import ADAPTER_CONFIG, ADAPTER_WEIGHTS, refuse_pickles
from evomerge.dtypes import FLOAT32
from evomerge.errors import AdapterError

# As many as threads work on tensors side by side; each is as long as a layer is wide.
_FACTORS_KEPT = 16

_CONVERSION = (
    'python -c "import torch; from safetensors.torch import save_file; save_file(torch.load('
    f"'adapter_model.bin', weights_only=True), '{ADAPTER_WEIGHTS}')\" (in that folder)"
)


class Adapted:
    """A model with an adapter, read like a checkpoint. Any number of threads may read at once.

    Attributes:
        folder: that of the model, where its config and its tokenizer are.
        config: the model's, with ``tie_word_embeddings`` off if the adapter has untied the head.
        label: the model's and the adapter's, joined by a plus sign.
        settings: what the adapter's own config says.
    """

    def __init__(
        self, base: Base, tensors: Tensors, settings: AdapterConfig, label: str = "an adapter"
    ) -> None:
        """Finds out what the tensors of an adapter change.

        Raises:
            AdapterError: it cannot be applied to this model.
        """
        self.settings = settings
        self._base = base
        self._file = tensors
        self._changes = plan_changes(tensors, settings, base)
        self._names = tuple(sorted({*base.names(), *self._changes}))
        self._norms: dict[str, np.ndarray] = {}
        self._lock = Lock()
        self._kept = lru_cache(_FACTORS_KEPT)(self._whole)
        self.label = f"{base.label}+{label}"
        self.folder = base.folder
        self.config: Mapping[str, object] = dict(base.config)
        if len(self._names) > len(base.names()):
            self.config = {**self.config, "tie_word_embeddings": False}

    def names(self) -> tuple[str, ...]:
        """The names of all tensors, sorted: the model's, and the head if it is tied no more."""
        return self._names

    def changed(self) -> tuple[str, ...]:
        """The names of the tensors that differ from the model's own, sorted."""
        return tuple(sorted(self._changes))

    def source_of(self, name: str) -> str:
        """The tensor of the model that this one starts as: of its own name, or a tied one."""
        return self._changes[name].source if name in self._changes else name

    def parts_of(self, name: str) -> tuple[str, ...]:
        """The tensors of the adapter that change this one; none if it is the model's own."""
        return self._changes[name].parts if name in self._changes else ()

    def info(self, name: str) -> TensorInfo:
        """Shape and element type of a tensor: those of the model on disk."""
        if name in self._changes:
            return self._changes[name].info
        return self._base.info(name)

    def load(self, name: str, rows: Rows = None, out: np.ndarray | None = None) -> np.ndarray:
        """A tensor, or some of its rows; see `Checkpoint.load`.

        Returns:
            What the adapter changes, in float32, and in ``out`` only if that is float32. All
            else as stored.
        """
        if (change := self._changes.get(name)) is None:
            return self._base.load(name, rows, out)
        block = self._updated(change, rows, out if out is None or out.dtype == FLOAT32 else None)
        if change.magnitude is not None:
            self._set_lengths(change, change.magnitude, rows, block)
        return block

    def fingerprint(self) -> str:
        """One hash of the model's weights and the adapter's."""
        return f"{self._base.fingerprint()}+{self._file.fingerprint()}"

    def close(self) -> None:
        """Closes the files of the model, if it is one on disk, and of the adapter."""
        if isinstance(self._base, Checkpoint):
            self._base.close()
        self._file.close()

    def __enter__(self) -> Adapted:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _updated(self, change: Change, rows: Rows, out: np.ndarray | None) -> np.ndarray:
        """Everything but DoRA: the values a tensor starts with, and what is added to them."""
        block = self._start(change, rows, out)
        chosen = slice(None) if rows is None else rows
        if change.tokens is not None:
            self._replace_tokens(*change.tokens, np.arange(change.info.shape[0])[chosen], block)
        for product in change.low_rank:
            left, right = self._factors(product, rows)
            add_product(block, left * np.float32(product.scaling), right)
        for key, factor in change.added:
            block += self._file.load(key, rows).astype(np.float32) * np.float32(factor)
        return block

    def _start(self, change: Change, rows: Rows, out: np.ndarray | None) -> np.ndarray:
        source: Base | Tensors = self._base
        name = change.source
        if change.replacement is not None:
            source, name = self._file, change.replacement
        stored_dtype = source.info(name).dtype
        stored = source.load(name, rows, out if stored_dtype == FLOAT32 else None)
        if out is None or stored is out:
            # What stands in memory is not to be written to.
            return stored.astype(np.float32, copy=not stored.flags.writeable)
        np.copyto(out, stored)
        return out

    def _replace_tokens(
        self, key: str, indices: tuple[int, ...], chosen: np.ndarray, block: np.ndarray
    ) -> None:
        """Puts trained rows in the place of those among the chosen that they belong to."""
        trained = self._file.load(key).astype(np.float32)
        for row, index in zip(trained, indices, strict=True):
            block[chosen == index] = row

    def _factors(self, product: LowRank, rows: Rows) -> tuple[np.ndarray, np.ndarray]:
        """``(rows, rank)`` and ``(rank, columns)``, float32."""
        if not product.transposed:
            return self._file.load(product.up, rows).astype(np.float32), self._kept(product.down)
        chosen = slice(None) if rows is None else rows
        return self._kept(product.down, turned=True)[chosen], self._kept(product.up, turned=True)

    def _whole(self, key: str, *, turned: bool = False) -> np.ndarray:
        matrix = self._file.load(key).astype(np.float32, copy=False)
        return np.ascontiguousarray(matrix.T) if turned else matrix

    def _set_lengths(self, change: Change, key: str, rows: Rows, block: np.ndarray) -> None:
        """DoRA: output directions are brought to their trained lengths."""
        if change.low_rank[0].transposed:
            scale_columns(block, self._file.load(key).astype(np.float32), self._norms_of(change))
        else:
            scale_rows(block, self._file.load(key, rows).astype(np.float32))

    def _norms_of(self, change: Change) -> np.ndarray:
        """The lengths of a matrix's columns, found in one pass over it, once."""
        name = change.info.name
        with self._lock:
            if name not in self._norms:
                blocks = (self._updated(change, t, None) for t in tiles(change.info.shape[0]))
                self._norms[name] = column_norms(blocks)
            return self._norms[name]


def open_adapted(checkpoint: Checkpoint, adapter: str, revision: str | None = None) -> Adapted:
    """Applies an adapter, from a folder or from Hugging Face, to a model.

    Raises:
        CheckpointError: the adapter cannot be found or read.
        AdapterError: it cannot be applied, or not to this model.
    """
    folder = locate(adapter, revision)
    settings = read_adapter_config(config_file(folder))
    tensors = TensorFile(weights_file(folder))
    return Adapted(checkpoint, tensors, settings, label_of(adapter, folder))


def config_file(folder: Path) -> Path:
    """The adapter_config.json, without which a folder is not an adapter.

    Raises:
        AdapterError: there is none.
    """
    path = folder / ADAPTER_CONFIG
    if path.is_file():
        return path
    if (folder / "config.json").is_file():
        raise AdapterError(f"{folder}: a model, not a LoRA adapter; list it as a model of its own")
    raise AdapterError(f"{folder}: not a LoRA adapter: it has no {ADAPTER_CONFIG}")


def weights_file(folder: Path) -> Path:
    """The tensors of an adapter.

    Raises:
        AdapterError: there are none, or only pickles.
    """
    path = folder / ADAPTER_WEIGHTS
    if not path.is_file():
        refuse_pickles(folder, ("adapter_model*.bin",), _CONVERSION)
        raise AdapterError(f"{folder}: no weights; expected {ADAPTER_WEIGHTS}")
    return path
