"""Writes an adapter that PEFT and transformers read, whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path

from evomerge.adapters.contents import Contents, Filling
from evomerge.adapters.sources import Whole
from evomerge.adapters.updates import Floats
from evomerge.checkpoint.weights import ADAPTER_CONFIG
from evomerge.checkpoint.writer import FolderWriter

_FILE = "adapter_model"


class AdapterWriter:
    """An adapter in the making: nothing of it shows under its name before it is whole."""

    def __init__(self, out: Path, contents: Contents, *, force: bool) -> None:
        """Checks the place, and changes nothing.

        Raises:
            OutputError: ``out`` must not be written, or the disk is too full.
        """
        infos = contents.infos
        self._contents = contents
        self.nbytes = sum(info.nbytes for info in infos)
        self._writer = FolderWriter(out, infos, shard_bytes=self.nbytes, force=force, name=_FILE)

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
            for part in self._contents.parts(fillings, wholes):
                writer.write(*part)
            text = json.dumps(self._contents.config(), indent=2)
            (writer.folder / ADAPTER_CONFIG).write_text(text + "\n", encoding="utf-8")
            card(writer.folder)
            writer.commit()
