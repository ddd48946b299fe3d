"""One opened model folder: what tensors it has, and their numbers by rows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from evomerge.checkpoint.documents import read_json
from evomerge.checkpoint.fingerprint import fingerprint_of
from evomerge.checkpoint.hub import label_of, locate
from evomerge.checkpoint.tensor_file import Rows
from evomerge.checkpoint.tensors import TensorInfo
from evomerge.checkpoint.weights import ADAPTER_CONFIG, open_weights
from evomerge.errors import CheckpointError, unknown


class Checkpoint:
    """The tensors of a model on disk. Any number of threads may read at once.

    Attributes:
        folder: where the model is.
        config: the content of its config.json.
        label: what messages call it: the folder's name, or the id on Hugging Face.
    """

    def __init__(self, folder: Path, label: str) -> None:
        self.folder = folder
        self.label = label
        self.config: Mapping[str, object] = read_json(_config_file(folder))
        self._files = open_weights(folder, label)
        self._file_of = {name: file for file in self._files for name in file.tensors}
        self._names = tuple(sorted(self._file_of))
        self._fingerprint: str | None = None

    @property
    def path(self) -> Path:
        """The same as ``folder``."""
        return self.folder

    def names(self) -> tuple[str, ...]:
        """The names of all tensors, sorted."""
        return self._names

    def info(self, name: str) -> TensorInfo:
        """Shape and element type of a tensor.

        Raises:
            CheckpointError: there is no such tensor.
        """
        if name not in self._file_of:
            raise CheckpointError(f"{self.folder}: {_unknown_tensor(name, self._names)}")
        return self._file_of[name].tensors[name]

    def load(self, name: str, rows: Rows = None, out: np.ndarray | None = None) -> np.ndarray:
        """A tensor, or some of its rows, as stored.

        Args:
            name: the tensor.
            rows: along axis 0: a slice, or an index array ``(n,)`` with entries in
                [0, rows of the tensor) in any order; all if None. A tensor of more than two axes
                counts as a matrix: its rows are those of its last axis.
            out: a contiguous array of exactly the resulting shape and element type, to be filled
                and returned; a new one if None.

        Returns:
            ``(rows, *rest of the shape)``; bfloat16 and 8-bit floats as ``ml_dtypes`` types.

        Raises:
            CheckpointError: there is no such tensor, or the file cannot be read.
        """
        if name not in self._file_of:
            self.info(name)
        return self._file_of[name].load(name, rows, out)

    def fingerprint(self) -> str:
        """One hash of all weight files; computed once, and cached for later runs."""
        if self._fingerprint is None:
            self._fingerprint = fingerprint_of([file.path for file in self._files])
        return self._fingerprint

    def close(self) -> None:
        """Closes the files. Nothing can be read afterwards; closing twice does nothing."""
        for file in self._files:
            file.close()

    def __enter__(self) -> Checkpoint:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def open_checkpoint(path_or_id: str, revision: str | None = None) -> Checkpoint:
    """Opens a model folder, or a model of Hugging Face by its id.

    Raises:
        CheckpointError: it cannot be found, is not a model, or is damaged.
    """
    folder = locate(path_or_id, revision)
    return Checkpoint(folder, label_of(path_or_id, folder))


def _config_file(folder: Path) -> Path:
    """The config.json, without which a folder is not a model."""
    config = folder / "config.json"
    if config.is_file():
        return config
    if (folder / ADAPTER_CONFIG).is_file():
        raise CheckpointError(
            f"{folder}: a LoRA adapter, not a model; name the model it was trained on before it: "
            f"MODEL+{folder}"
        )
    if not any(folder.iterdir()):
        raise CheckpointError(f"{folder}: an empty folder; expected a model")
    raise CheckpointError(f"{folder}: not a model: it has no config.json")


def _unknown_tensor(name: str, names: tuple[str, ...]) -> str:
    """A model has too many tensors to list them all."""
    text = unknown("tensor", name, names).splitlines()[0]
    return f"{text}; it has {len(names)} tensors, from '{names[0]}' on" if names else text
