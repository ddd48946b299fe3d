"""What `merge` reads: a model, whatever it is made of, by any set of rows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np

from evomerge.checkpoint.adapter import Adapted, open_adapted
from evomerge.checkpoint.quantised import quantisation_of
from evomerge.checkpoint.reader import Checkpoint, open_checkpoint
from evomerge.checkpoint.tensor_file import Rows
from evomerge.checkpoint.tensors import TensorInfo
from evomerge.errors import CheckpointError
from evomerge.recipe.reference import ModelReference


class Source(Protocol):
    """A model to be read. Any number of threads may read at once."""

    @property
    def label(self) -> str:
        """What messages call it."""

    @property
    def config(self) -> Mapping[str, object]:
        """The content of its config.json."""

    @property
    def folder(self) -> Path:
        """Where its config and its tokenizer are."""

    def names(self) -> tuple[str, ...]:
        """The names of all tensors, sorted."""

    def info(self, name: str) -> TensorInfo:
        """Shape and element type of a tensor on disk.

        Raises:
            CheckpointError: there is no such tensor.
        """

    def load(self, name: str, rows: Rows = None, out: np.ndarray | None = None) -> np.ndarray:
        """A tensor, or some of its rows.

        Args:
            name: the tensor.
            rows: along axis 0: a slice, or an index array ``(n,)`` in any order; all if None.
                A tensor of more than two axes counts as a matrix of its last axis' rows.
            out: a contiguous array of the resulting shape, which may be used for the result.

        Returns:
            ``(rows, *rest of the shape)``, as stored, or in float32 where it had to be computed.
            In ``out`` if that has the element type of the result, otherwise in an array of its
            own: what counts is what is returned.
        """


def open_source(reference: ModelReference) -> Checkpoint | Adapted:
    """Opens the model that a recipe names, with its adapter if it has one.

    Raises:
        CheckpointError: the model or the adapter cannot be found or read, or is quantised.
        AdapterError: the adapter cannot be applied to the model.
    """
    checkpoint = open_checkpoint(reference.path, reference.revision)
    if (how := quantisation_of(checkpoint.config)) is not None:
        checkpoint.close()
        raise CheckpointError(
            f"{checkpoint.folder / 'config.json'}: the model is quantised ({how}), and cannot be "
            "merged; use the model it was made from, or save what transformers' dequantize() gives"
        )
    if reference.adapter is None:
        return checkpoint
    return open_adapted(checkpoint, reference.adapter, reference.adapter_revision)
