"""The low-rank part of the difference between a model and its base: the way back from a fine-tune.

Each matrix of the layers is taken by itself, so memory does not grow with the model. Small ones,
and large shares of the rank, are decomposed whole; otherwise the leading directions are found by
subspace iteration from a random start of fixed seed [1].

[1] N. Halko, P.-G. Martinsson, J. Tropp. Finding structure with randomness. SIAM Review 53, 2011.
    https://doi.org/10.1137/090771806
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from evomerge.adapters.contents import Slot
from evomerge.adapters.sources import Matrix
from evomerge.adapters.updates import Floats, Update
from evomerge.checkpoint.adapter_plan import CONV1D
from evomerge.checkpoint.reader import Checkpoint
from evomerge.dtypes import is_float
from evomerge.errors import MergeError
from evomerge.families import Family, architecture_of, family_of

# More directions are followed than asked for [1], and a share of the rank from which the whole
# decomposition is no dearer.
_SPARE = 16
_SHARE = 0.25
# Passes of the iteration; it ends when the energy that is kept grows by less than this share.
_PASSES = 12
_GAIN = 1e-5
_SEED = 0
_PREFIX = "base_model.model."
# transformers 5 fuses these in memory, so that PEFT finds no modules of their names.
_FUSED = (".experts.", "block_sparse_moe.")


@dataclass(frozen=True)
class Pair:
    """A model and its base, and what of their difference an adapter can hold.

    Attributes:
        base: what the model was made from.
        model: the fine-tuned one.
        slots: the matrices of the layers, and the rank of each.
        left_out: names of other tensors that differ.
        transposed: whether matrices are stored ``(inputs, outputs)``, as GPT-2's are.
    """

    base: Checkpoint
    model: Checkpoint
    slots: Sequence[Slot]
    left_out: Sequence[str]
    transposed: bool

    def difference(self, name: str) -> Floats:
        """Model minus base, float32: ``(outputs, inputs)`` for matrices.

        Raises:
            MergeError: it is not finite.
        """
        found: Floats = self.model.load(name).astype(np.float32)
        found -= self.base.load(name).astype(np.float32)
        if not np.isfinite(found).all():
            raise MergeError(
                f"{name}: {self.model.label} or {self.base.label} holds NaN or infinity"
            )
        return np.ascontiguousarray(found.T) if self.transposed and found.ndim > 1 else found

    def extracted(self) -> Iterator[Extracted]:
        """What each slot holds of the difference, one after the other."""
        for slot in self.slots:
            yield extract(self.difference(slot.matrix.name), slot.rank)


@dataclass(frozen=True)
class Extracted:
    """The low-rank part of one difference.

    Attributes:
        update: in balanced factors.
        kept: the share of the squared norm that it holds, in [0, 1]; 1 where nothing differs.
    """

    update: Update
    kept: float


def pair_up(model: Checkpoint, base: Checkpoint, rank: int) -> Pair:
    """What can be extracted, from names and shapes; reads only what is no matrix of a layer.

    Raises:
        MergeError: the models are of different architectures or shapes, or the rank is none.
    """
    kinds = [architecture_of(each.config, each.label) for each in (model, base)]
    if kinds[0] != kinds[1]:
        raise MergeError(
            f"{model.label}: is a {kinds[0]}, but {base.label} is a {kinds[1]}; an adapter needs "
            "the model and the base it was made from"
        )
    family = family_of(base.config, base.names(), base.label)
    transposed = base.config.get("model_type") in CONV1D
    slots, others = [], []
    for name in base.names():
        if name not in model.names():
            raise MergeError(f"{name}: {model.label} lacks it, and {base.label} has it")
        shape = base.info(name).shape
        if model.info(name).shape != shape:
            raise MergeError(
                f"{name}: {model.label} has shape {model.info(name).shape}, {base.label} has "
                f"{shape}; an adapter changes no shape"
            )
        if _is_module(name, family, shape):
            oriented = (shape[1], shape[0]) if transposed else (shape[0], shape[1])
            slots.append(_slot(name, family, oriented, rank))
        else:
            others.append(name)
    _check_rank(rank, slots, base.label)
    pair = Pair(base, model, slots, (), transposed)
    left_out = [name for name in others if _differs(pair, name)]
    return Pair(base, model, slots, left_out, transposed)


def extract(difference: Floats, rank: int) -> Extracted:
    """The nearest update of a rank to a difference ``(outputs, inputs)``, and what it keeps."""
    total = float(np.sum(np.square(difference, dtype=np.float64)))
    if not total:
        return Extracted(Update.zero((difference.shape[0], difference.shape[1])), 1.0)
    whole = rank + _SPARE >= _SHARE * min(difference.shape)
    matrix = difference.astype(np.float64) if whole else difference
    basis = None if whole else _leading(matrix, rank)
    u, values, v = np.linalg.svd(matrix if basis is None else basis.T @ matrix, full_matrices=False)
    u, values, v = u[:, :rank].astype(np.float64), values[:rank].astype(np.float64), v[:rank]
    roots = np.sqrt(values)
    left = u * roots if basis is None else (basis @ u) * roots
    right = v.T.astype(np.float64) * roots
    return Extracted(Update(left, right), min(1.0, float(np.sum(values**2)) / total))


def _leading(matrix: Floats, rank: int) -> Floats:
    """``(outputs, rank + spare)``: an orthonormal basis of the leading left directions."""
    rng = np.random.default_rng(_SEED)
    start = rng.standard_normal((matrix.shape[1], rank + _SPARE), np.float32)
    basis, kept = np.linalg.qr(matrix @ start)[0], 0.0
    for _ in range(_PASSES):
        other, values = np.linalg.qr(matrix.T @ basis)
        basis = np.linalg.qr(matrix @ other)[0]
        reached = float(np.sum(np.square(values, dtype=np.float64)))
        if reached - kept <= _GAIN * reached:
            break
        kept = reached
    return basis


def _is_module(name: str, family: Family, shape: tuple[int, ...]) -> bool:
    return (
        len(shape) == 2  # noqa: PLR2004
        and name.endswith(".weight")
        and family.layer_of(name) is not None
        and not any(part in name for part in _FUSED)
    )


def _slot(name: str, family: Family, shape: tuple[int, int], rank: int) -> Slot:
    module = name.removesuffix(".weight")
    if not module.startswith(family.roots[0]):  # as it is called in memory
        module = family.roots[0] + module
    return Slot(Matrix(name, name, _PREFIX + module, shape, embedding=False), min(rank, *shape))


def _check_rank(rank: int, slots: Sequence[Slot], label: str) -> None:
    if not slots:
        raise MergeError(f"{label}: has no matrices in its layers that PEFT could adapt")
    most = max(min(slot.matrix.shape) for slot in slots)
    if not 1 <= rank <= most:
        raise MergeError(
            f"--rank: found {rank}; expected 1 to {most}, what a matrix of {label} has"
        )


def _differs(pair: Pair, name: str) -> bool:
    """Whether a tensor that no adapter holds was changed; of one type and the same bits, not."""
    return is_float(pair.base.info(name).dtype) and bool(pair.difference(name).any())
