"""Where each tensor of a model will lie: shards, offsets, safetensors headers, the index.

[1] https://huggingface.co/docs/safetensors/index#format
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from evomerge.checkpoint.tensors import TensorInfo
from evomerge.dtypes import safetensors_code

INDEX = "model.safetensors.index.json"


@dataclass(frozen=True)
class Shard:
    """One safetensors file.

    Attributes:
        file: its name, without a folder.
        tensors: what it holds, in the order in which it lies in the file.
    """

    file: str
    tensors: tuple[TensorInfo, ...]

    @cached_property
    def header(self) -> bytes:
        """What stands before the data: the length in 8 bytes, JSON, spaces up to a multiple of 8.

        "F64": {"dtype": …, "shape": […], "data_offsets": [begin, end]}, offsets in bytes from
        the end of the header [1].
        """
        entries: dict[str, object] = {"__metadata__": {"format": "pt"}}
        begin = 0
        for info in self.tensors:
            end = begin + info.nbytes
            entries[info.name] = {
                "dtype": safetensors_code(info.dtype),
                "shape": list(info.shape),
                "data_offsets": [begin, end],
            }
            begin = end
        text = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
        text += b" " * (-len(text) % 8)
        return len(text).to_bytes(8, "little") + text

    @cached_property
    def offsets(self) -> Mapping[str, int]:
        """The first byte of each tensor, counted from the beginning of the file."""
        offsets = {}
        position = len(self.header)
        for info in self.tensors:
            offsets[info.name] = position
            position += info.nbytes
        return offsets

    @property
    def data_bytes(self) -> int:
        """The bytes of the tensors alone."""
        return sum(info.nbytes for info in self.tensors)

    @property
    def file_bytes(self) -> int:
        """The bytes of the file."""
        return len(self.header) + self.data_bytes


def plan_shards(
    tensors: Sequence[TensorInfo], shard_bytes: int, name: str = "model"
) -> tuple[Shard, ...]:
    """Cuts a model into files as transformers does: in order, each filled up to ``shard_bytes``.

    ``name`` is what the names of the files begin with.

    A tensor larger than that has a file of its own. Within a file, tensors of wide elements come
    first, so that all are aligned whatever their shapes.

    Raises:
        ValueError: two tensors have one name.
    """
    if len({info.name for info in tensors}) < len(tensors):
        raise ValueError("plan_shards: two tensors have one name")
    groups = _groups(tensors, shard_bytes)
    if len(groups) == 1:
        return (Shard(f"{name}.safetensors", _aligned(groups[0])),)
    return tuple(
        Shard(f"{name}-{number:05d}-of-{len(groups):05d}.safetensors", _aligned(group))
        for number, group in enumerate(groups, start=1)
    )


def index_of(shards: Sequence[Shard]) -> str:
    """The content of `INDEX`: which file holds which tensor."""
    files = {info.name: shard.file for shard in shards for info in shard.tensors}
    index = {
        "metadata": {"total_size": sum(shard.data_bytes for shard in shards)},
        "weight_map": dict(sorted(files.items())),
    }
    return json.dumps(index, indent=2) + "\n"


def _groups(tensors: Sequence[TensorInfo], shard_bytes: int) -> list[list[TensorInfo]]:
    groups: list[list[TensorInfo]] = []
    filling: list[TensorInfo] = []
    filled = 0
    for info in tensors:
        if info.nbytes > shard_bytes:
            groups.append([info])
            continue
        if filled + info.nbytes > shard_bytes:
            groups.append(filling)
            filling, filled = [], 0
        filling.append(info)
        filled += info.nbytes
    if filling or not groups:
        groups.append(filling)
    return groups


def _aligned(tensors: Sequence[TensorInfo]) -> tuple[TensorInfo, ...]:
    return tuple(sorted(tensors, key=lambda info: -info.dtype.itemsize))
