"""The adapters of a recipe, opened: what each does to every matrix of the base.

Only low-rank updates are merged. Whatever else an adapter trains (DoRA's lengths, biases, whole
modules, rows of the embedding) means nothing as a point of the same geometry, and is refused by
name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from evomerge.adapters.updates import Update
from evomerge.checkpoint.adapter import config_file, weights_file
from evomerge.checkpoint.adapter_changes import Change, LowRank
from evomerge.checkpoint.adapter_config import AdapterConfig, read_adapter_config
from evomerge.checkpoint.adapter_plan import plan_changes
from evomerge.checkpoint.documents import read_json
from evomerge.checkpoint.hub import label_of, locate
from evomerge.checkpoint.reader import Checkpoint, open_checkpoint
from evomerge.checkpoint.tensor_file import TensorFile
from evomerge.errors import AdapterError, MergeError
from evomerge.recipe import ModelReference
from evomerge.recipe.adapters import AdapterRecipe

# The part of a factor's name that says which it is.
_PART = re.compile(r"\.(lora_A\.weight|lora_B\.weight|lora_embedding_A|lora_embedding_B)$")


@dataclass(frozen=True)
class Adapter:
    """One opened adapter.

    Attributes:
        label: what messages call it.
        folder: where it is.
        config: what its adapter_config.json says of the update.
        task: what the same file says it is for, such as ``CAUSAL_LM``; empty if nothing.
        file: its tensors.
        products: by the name of the matrix in the base, the one that is added to it.
    """

    label: str
    folder: Path
    config: AdapterConfig
    task: str
    file: TensorFile
    products: Mapping[str, LowRank]

    def update(self, matrix: str, shape: tuple[int, int]) -> Update:
        """What it adds to a matrix, scaling included: ``shape`` is ``(outputs, inputs)``.

        Raises:
            MergeError: a factor holds NaN or infinity.
        """
        product = self.products.get(matrix)
        if product is None:
            return Update.zero(shape)
        up, down = (self._factor(key) for key in (product.up, product.down))
        return Update(product.scaling * up, np.ascontiguousarray(down.T))

    def rank(self, matrix: str) -> int:
        """The columns of its factors; 0 if it leaves the matrix alone."""
        product = self.products.get(matrix)
        return self.file.tensors[product.down].shape[0] if product else 0

    def _factor(self, key: str) -> np.ndarray:
        factor = self.file.load(key).astype(np.float64)
        if not np.isfinite(factor).all():
            raise MergeError(f"{self.file.path}: {key}: holds NaN or infinity; mend the adapter")
        return factor


@dataclass(frozen=True)
class Matrix:
    """A matrix of the base that at least one adapter changes.

    Attributes:
        name: in the base.
        module: what PEFT calls its module, prefix included.
        shape: ``(outputs, inputs)``, however it is stored.
        embedding: whether PEFT names its factors as those of an embedding.
    """

    name: str
    module: str
    shape: tuple[int, int]
    embedding: bool

    @property
    def factors(self) -> tuple[str, str]:
        """What PEFT calls B and A."""
        if self.embedding:
            return f"{self.module}.lora_embedding_B", f"{self.module}.lora_embedding_A"
        return f"{self.module}.lora_B.weight", f"{self.module}.lora_A.weight"


@dataclass(frozen=True)
class Sources:
    """The base, and its adapters in the order of the recipe.

    Attributes:
        base: the model that all were trained on.
        adapters: at least one.
        matrices: all that any of them changes, by name.
    """

    base: Checkpoint
    adapters: Sequence[Adapter]
    matrices: Sequence[Matrix]

    def updates(self, matrix: Matrix) -> list[Update]:
        """One for each adapter, rank 0 where it leaves the matrix alone."""
        return [adapter.update(matrix.name, matrix.shape) for adapter in self.adapters]

    def partial(self) -> int:
        """How many matrices only some of the adapters change."""
        return sum(
            any(matrix.name not in adapter.products for adapter in self.adapters)
            for matrix in self.matrices
        )


def open_sources(recipe: AdapterRecipe, opened: ExitStack) -> Sources:
    """Opens base and adapters, which end with ``opened``.

    Raises:
        CheckpointError: one cannot be read.
        AdapterError: an adapter is not of this base, or not low-rank alone; or they have no
            matrix in common.
    """
    model = recipe.base_model
    base = opened.enter_context(open_checkpoint(model.path, model.revision))
    adapters = [_open(entry.adapter, base, opened) for entry in recipe.adapters]
    _check_one_base(adapters)
    _check_common(adapters)
    return Sources(base, adapters, _matrices(adapters))


def _open(reference: ModelReference, base: Checkpoint, opened: ExitStack) -> Adapter:
    folder = locate(reference.path, reference.revision)
    label = label_of(reference.path, folder)
    document = config_file(folder)
    config = read_adapter_config(document)
    file = TensorFile(weights_file(folder))
    opened.callback(file.close)
    changes = plan_changes(file, config, base)
    products = {name: _product(change, f"{file.path}: {name}") for name, change in changes.items()}
    task = str(read_json(document).get("task_type") or "")
    return Adapter(label, folder, config, task, file, products)


def _product(change: Change, where: str) -> LowRank:
    """The one product of a change that is nothing else."""
    kinds = {
        "is trained as a whole (modules_to_save, or a bias)": change.replacement is not None,
        "has rows that are trained as a whole (trainable_token_indices)": change.tokens is not None,
        "has a bias beside its factors (lora_bias)": bool(change.added),
        "is brought to trained lengths (use_dora)": change.magnitude is not None,
        "is changed by two products": len(change.low_rank) > 1,
    }
    for kind, found in kinds.items():
        if found:
            raise AdapterError(
                f"{where}: {kind}; only low-rank updates can be averaged as such. Merge it as a "
                "model: models: [{model: BASE+ADAPTER}, …]"
            )
    return change.low_rank[0]


def _check_one_base(adapters: Sequence[Adapter]) -> None:
    """Refuses adapters that say they were trained on different models."""
    named = [adapter for adapter in adapters if adapter.config.base]
    for other in named[1:]:
        first = named[0]
        if _called(first) == _called(other):
            continue
        raise AdapterError(
            f"{other.label}: was trained on {other.config.base}, {first.label} on "
            f"{first.config.base}; adapters are merged on one base. If these are one model, write "
            "one name into base_model_name_or_path of both adapter_config.json"
        )


def _called(adapter: Adapter) -> str:
    """The last part of its base's path or id, however that is spelled."""
    return Path(adapter.config.base).name.lower()


def _check_common(adapters: Sequence[Adapter]) -> None:
    if len(adapters) > 1 and all(
        one.products.keys().isdisjoint(other.products) for one, other in combinations(adapters, 2)
    ):
        raise AdapterError(
            f"{', '.join(adapter.label for adapter in adapters)}: change no matrix in common, so "
            "there is nothing to merge; expected adapters of the same modules"
        )


def _matrices(adapters: Sequence[Adapter]) -> list[Matrix]:
    found: dict[str, Matrix] = {}
    for adapter in adapters:
        for name, product in adapter.products.items():
            up, down = (adapter.file.tensors[key] for key in (product.up, product.down))
            embedding = "lora_embedding" in product.down
            module = _PART.sub("", product.down)
            shape = (up.shape[0], down.shape[1])
            found.setdefault(name, Matrix(name, module, shape, embedding))
    return [found[name] for name in sorted(found)]
