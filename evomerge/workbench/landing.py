"""Where every tensor of a checkpoint lands in a model in memory, found by watching transformers.

On disk and in memory, names and shapes differ for some families: transformers renames tensors and
stacks experts while it loads. No table of ours repeats what it does. Its own loader is run on
marked tensors, whose elements are numbered, and the numbers are looked up where they came out.
So the answer is proven for every element, or the tensor is refused by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.conversion_mapping import get_model_conversion_mapping
from transformers.core_model_loading import convert_and_load_state_dict_in_model
from transformers.modeling_utils import LoadStateDictConfig

from evomerge.checkpoint.tensors import TensorInfo
from evomerge.errors import MergeError
from evomerge.evaluators.loading import quiet
from evomerge.families import Family

# Numbers whole elements exactly, up to 2**53.
MARK = torch.float64


@dataclass(frozen=True)
class Run:
    """Consecutive elements of a tensor on disk that are consecutive in memory too.

    Attributes:
        first: the flat index of the run's first element in the tensor on disk.
        count: elements.
        target: the parameter or buffer it lands in, by its name in memory.
        at: the flat index of the run's first element there.
    """

    first: int
    count: int
    target: str
    at: int


# The runs of every tensor on disk; none for what transformers does not load.
Landing = Mapping[str, Sequence[Run]]


def find_landing(model: PreTrainedModel, infos: Sequence[TensorInfo], family: Family) -> Landing:
    """Where each of ``infos`` lands in ``model``.

    Args:
        model: as `from_pretrained` makes it of a folder with these tensors.
        infos: all tensors of the folder, by the names on disk.
        family: of the model; its layers are loaded one after the other, to save memory.

    Raises:
        MergeError: a tensor is scattered in memory, or a place in memory gets none.
    """
    twin = _twin(model)
    groups: dict[int | None, list[TensorInfo]] = {}
    for info in infos:
        groups.setdefault(family.layer_of(info.name), []).append(info)
    runs: dict[str, list[Run]] = {info.name: [] for info in infos}
    with quiet():
        for group in groups.values():
            for name, run in _landed(twin, group):
                runs[name].append(run)
    _check_filled(model, runs)
    return runs


def _twin(model: PreTrainedModel) -> PreTrainedModel:
    """The same model without memory, of the type that holds marks."""
    with torch.device("meta"):
        twin: PreTrainedModel = type(model)._from_config(deepcopy(model.config), dtype=MARK)
    return twin


def _landed(twin: PreTrainedModel, group: Sequence[TensorInfo]) -> Iterator[tuple[str, Run]]:
    """The runs of some tensors. What is only renamed is told by its memory; else by its marks."""
    untouched = {info.name: torch.empty(info.shape, dtype=MARK) for info in group}
    origin = {tensor.untyped_storage().data_ptr(): name for name, tensor in untouched.items()}
    copied = set()
    for target, found in _loaded(twin, untouched).items():
        name = origin.get(found.untyped_storage().data_ptr())
        if name is not None and found.is_contiguous():
            yield name, Run(int(found.storage_offset()), found.numel(), target, 0)
        else:
            copied.add(target)
    if not copied:
        return
    del untouched
    marked, starts, size = {}, [], 0
    for info in group:
        marks = torch.arange(size, size + info.size, dtype=MARK)
        marked[info.name] = marks.reshape(info.shape)
        starts.append(size)
        size += info.size
    names = [info.name for info in group]
    ends = [*starts[1:], size]
    for target, found in _loaded(twin, marked).items():
        if target in copied:
            yield from _runs(target, found, list(zip(names, starts, ends, strict=True)))


def _loaded(twin: PreTrainedModel, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What transformers makes of some tensors of a checkpoint, by name in memory."""
    settings = LoadStateDictConfig(dtype=MARK, weight_mapping=get_model_conversion_mapping(twin))
    convert_and_load_state_dict_in_model(twin, dict(state), settings)
    places = twin.state_dict(keep_vars=True)
    loaded = {name: place.detach() for name, place in places.items() if not place.is_meta}
    for name in loaded:
        _forget(twin, name)
    return loaded


def _forget(twin: PreTrainedModel, name: str) -> None:
    path, _, last = name.rpartition(".")
    module = twin.get_submodule(path)
    empty = torch.empty_like(getattr(module, last), device="meta")
    setattr(module, last, empty if last in module._buffers else nn.Parameter(empty))


def _runs(
    target: str, found: Tensor, marks: Sequence[tuple[str, int, int]]
) -> Iterator[tuple[str, Run]]:
    """Cuts a place in memory into runs of the tensors that it was filled from."""
    flat, at = found.reshape(-1), 0
    while at < len(flat):
        first = int(flat[at])
        name, start, end = next(each for each in marks if each[1] <= first < each[2])
        count = min(end - first, len(flat) - at)
        expected = torch.arange(first, first + count, dtype=flat.dtype)
        if not torch.equal(flat[at : at + count], expected):
            raise MergeError(
                f"{name}: transformers scatters it over {target} when it loads a model; "
                "such a model cannot be overwritten in memory: merge it to a folder instead"
            )
        yield name, Run(first - start, count, target, at)
        at += count


def gaps(stored: Mapping[str, Tensor], landing: Landing) -> Iterator[tuple[str, int]]:
    """The names in memory that get less than all of their elements, or more; and how many.

    Args:
        stored: parameters and buffers of a model, by name; tied ones under several.
        landing: into places that the model has.
    """
    filled: dict[int, int] = {}
    for runs in landing.values():
        for run in runs:
            key = id(stored[run.target])
            filled[key] = filled.get(key, 0) + run.count
    for name, tensor in stored.items():
        if filled.get(id(tensor), 0) != tensor.numel():
            yield name, filled.get(id(tensor), 0)


def _check_filled(model: PreTrainedModel, landing: Landing) -> None:
    """Everything that a checkpoint stores must come from the tensors that there are."""
    stored = model.state_dict(keep_vars=True)
    for name, count in gaps(stored, landing):
        raise MergeError(
            f"{name}: the merge has {count} of its {stored[name].numel()} elements "
            "for the model in memory; the weights do not make a whole model of its config.json"
        )
