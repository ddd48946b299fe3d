"""What an adapter is made of and applied to, be it on disk or in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from threading import Lock
from typing import Protocol

import numpy as np

from evomerge.checkpoint.fingerprint import DIGEST_BYTES
from evomerge.checkpoint.tensor_file import Rows
from evomerge.checkpoint.tensors import TensorInfo


class Base(Protocol):
    """A model that an adapter is applied to."""

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
        """Shape and element type of a tensor on disk."""

    def load(self, name: str, rows: Rows = None, out: np.ndarray | None = None) -> np.ndarray:
        """A tensor, or some of its rows, as stored; what is returned is not to be written to."""

    def fingerprint(self) -> str:
        """One hash of all its weights."""


class Tensors(Protocol):
    """The tensors of an adapter, under the names that PEFT gives them."""

    @property
    def path(self) -> Path:
        """What messages call them."""

    @property
    def tensors(self) -> Mapping[str, TensorInfo]:
        """All of them."""

    def info(self, name: str) -> TensorInfo:
        """Shape and element type of one."""

    def load(self, name: str, rows: Rows = None, out: np.ndarray | None = None) -> np.ndarray:
        """One of them, or some of its rows."""

    def fingerprint(self) -> str:
        """One hash of all of them."""

    def close(self) -> None:
        """Ends the reading."""


class Held:
    """The tensors of an adapter in memory, made when the first is asked for.

    Attributes:
        path: what messages call them; no file.
        tensors: all of them.
    """

    def __init__(
        self,
        name: str,
        infos: Sequence[TensorInfo],
        make: Callable[[], Mapping[str, np.ndarray]],
    ) -> None:
        """``make`` gives the arrays of all ``infos``, by their names."""
        self.path = Path(name)
        self.tensors: Mapping[str, TensorInfo] = {info.name: info for info in infos}
        self._make = make
        self._lock = Lock()

    def info(self, name: str) -> TensorInfo:
        """Shape and element type of one."""
        return self.tensors[name]

    def load(self, name: str, rows: Rows = None, out: np.ndarray | None = None) -> np.ndarray:  # noqa: ARG002
        """One of them, or some of its rows: a view, not to be written to."""
        array = self.arrays()[name]
        return array if rows is None else array.reshape(self.tensors[name].grid)[rows]

    def arrays(self) -> Mapping[str, np.ndarray]:
        """All of them, by name. Threads that ask at once wait for one another."""
        with self._lock:
            return self._made

    def fingerprint(self) -> str:
        """One hash of all of them."""
        total = blake2b(digest_size=DIGEST_BYTES)
        for name, array in sorted(self.arrays().items()):
            total.update(f"{name}\0{array.dtype}\0{array.shape}\0".encode())
            total.update(np.ascontiguousarray(array).view(np.uint8).data)
        return total.hexdigest()

    def close(self) -> None:
        """Nothing is open."""

    @cached_property
    def _made(self) -> Mapping[str, np.ndarray]:
        made = self._make()
        for array in made.values():
            array.flags.writeable = False
        return made
