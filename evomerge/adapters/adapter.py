"""One adapter, opened: what it does to every tensor of its base.

A low-rank update is what the methods merge. Lengths that output directions are brought to (DoRA),
biases and modules that were trained as a whole are no points of the same geometry, and are
averaged apart. What is neither is refused by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from evomerge.adapters.updates import Floats, Update
from evomerge.checkpoint.adapter import config_file, weights_file
from evomerge.checkpoint.adapter_changes import Change, LowRank
from evomerge.checkpoint.adapter_config import AdapterConfig, read_adapter_config
from evomerge.checkpoint.adapter_plan import plan_changes
from evomerge.checkpoint.documents import read_json
from evomerge.checkpoint.hub import label_of, locate
from evomerge.checkpoint.reader import Checkpoint
from evomerge.checkpoint.tensor_file import Rows, TensorFile
from evomerge.errors import AdapterError, MergeError
from evomerge.recipe import ModelReference

PREFIX = "base_model.model."
BIAS = ".bias"
# Rows that are read at a time, of tensors as wide as a vocabulary or a layer: tens of megabytes.
ROWS = 1024


@dataclass(frozen=True)
class Adapter:
    """One opened adapter.

    Attributes:
        label: what messages call it.
        folder: where it is.
        config: what its adapter_config.json says of the update.
        task: what the same file says it is for, such as ``CAUSAL_LM``; empty if nothing.
        file: its tensors.
        changes: of the tensors of the base, by their names, none of which is both low-rank and
            trained as a whole.
        known: updates by matrix, that were read and are to be remembered; None remembers none.
    """

    label: str
    folder: Path
    config: AdapterConfig
    task: str
    file: TensorFile
    changes: Mapping[str, Change]
    known: dict[str, Update] | None = field(default=None, repr=False)

    def product(self, matrix: str) -> LowRank | None:
        """What is added to a matrix, if anything."""
        change = self.changes.get(matrix)
        return change.low_rank[0] if change and change.low_rank else None

    def update(self, matrix: str, shape: tuple[int, int]) -> Update:
        """What it adds to a matrix, scaling included: ``shape`` is ``(outputs, inputs)``.

        Raises:
            MergeError: a factor holds NaN or infinity.
        """
        if self.known is not None and matrix in self.known:
            return self.known[matrix]
        product = self.product(matrix)
        if product is None:
            return Update.zero(shape)
        up, down = (self._load(key) for key in (product.up, product.down))
        update = Update(product.scaling * up, np.ascontiguousarray(down.T))
        if self.known is not None:
            self.known[matrix] = update
        return update

    def rank(self, matrix: str) -> int:
        """The columns of its factors; 0 if it leaves the matrix alone."""
        product = self.product(matrix)
        return self.file.tensors[product.down].shape[0] if product else 0

    def lengths(self, matrix: str) -> Floats | None:
        """``(outputs,)``: what DoRA brings the output directions to; None without DoRA.

        Raises:
            MergeError: one is below 0, NaN or infinity.
        """
        change = self.changes.get(matrix)
        if change is None or change.magnitude is None:
            return None
        found = self._load(change.magnitude)
        if (found < 0).any():
            raise MergeError(
                f"{self.file.path}: {change.magnitude}: has lengths below 0, which turn directions "
                "around; merge it as a model: models: [{model: BASE+ADAPTER}, …]"
            )
        return found

    def whole(self, name: str, base: Floats, rows: Rows) -> Floats:
        """Rows of a tensor that is trained as a whole, or those of the base if it is not.

        Raises:
            MergeError: there is NaN or infinity.
        """
        change = self.changes.get(name)
        if change is None:
            return base
        found = base if change.replacement is None else self._load(change.replacement, rows)
        for key, factor in change.added:
            found = found + factor * self._load(key, rows)
        return found

    def _load(self, key: str, rows: Rows = None) -> Floats:
        found = self.file.load(key, rows).astype(np.float64)
        if not np.isfinite(found).all():
            raise MergeError(f"{self.file.path}: {key}: holds NaN or infinity; mend the adapter")
        return found


def open_adapter(
    reference: ModelReference,
    base: Checkpoint,
    opened: ExitStack,
    known: dict[str, Update] | None = None,
) -> Adapter:
    """Opens an adapter of a base, which ends with ``opened``; ``known`` is to remember updates.

    Raises:
        CheckpointError: it cannot be read.
        AdapterError: it is not of this base, or does what no mean is known of.
    """
    folder = locate(reference.path, reference.revision)
    label = label_of(reference.path, folder)
    document = config_file(folder)
    config = read_adapter_config(document)
    file = TensorFile(weights_file(folder))
    opened.callback(file.close)
    changes = plan_changes(file, config, base)
    for change in changes.values():
        if _is_of_base(change, config, file, base):
            change.replacement = None
        _check(change, file.path)
    task = str(read_json(document).get("task_type") or "")
    return Adapter(label, folder, config, task, file, changes, known)


def _check(change: Change, where: Path) -> None:
    """Refuses a change of which no mean is known."""
    kinds = {
        "has rows that are trained as a whole (trainable_token_indices)": change.tokens is not None,
        "is changed by two products": len(change.low_rank) > 1,
        "is another matrix than the base's, and adapted beside that": bool(
            change.low_rank and change.replacement
        ),
    }
    for kind, found in kinds.items():
        if found:
            raise AdapterError(
                f"{where}: {change.info.name}: {kind}; of that and other adapters there is no "
                "mean. Merge it as a model: models: [{model: BASE+ADAPTER}, …]"
            )


def _is_of_base(change: Change, config: AdapterConfig, file: TensorFile, base: Checkpoint) -> bool:
    """Whether a tensor is there only because PEFT saves embeddings beside what adapts them."""
    key = change.replacement
    if key is None or key.endswith(BIAS) or config.saves(parameter_of(key).rpartition(".")[0]):
        return False
    dtype = file.info(key).dtype
    return all(
        np.array_equal(file.load(key, rows), base.load(change.source, rows).astype(dtype))
        for rows in blocks(change.info.shape)
    )


def parameter_of(key: str) -> str:
    """What a parameter, of which a file of PEFT's holds a part, is called in memory."""
    return key.removeprefix(PREFIX).replace(".base_layer.", ".").replace(".lora_B.bias", BIAS)


def blocks(shape: tuple[int, ...]) -> Iterator[slice]:
    """The rows of a tensor, some at a time."""
    return (slice(at, min(at + ROWS, shape[0])) for at in range(0, shape[0], ROWS))
