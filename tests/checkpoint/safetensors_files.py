"""Safetensors files made byte by byte, sound or broken."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from evomerge.dtypes import safetensors_code


def entry(array: np.ndarray, begin: int = 0) -> dict:
    return {
        "dtype": safetensors_code(array.dtype),
        "shape": list(array.shape),
        "data_offsets": [begin, begin + array.nbytes],
    }


def write_raw(path: Path, header: object, data: bytes = b"") -> Path:
    """A file with any header, given as JSON or as bytes, and any data."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


def write(path: Path, arrays: Mapping[str, np.ndarray]) -> Path:
    header: dict = {"__metadata__": {"format": "pt"}}
    data = b""
    for name, array in arrays.items():
        header[name] = entry(array, len(data))
        data += array.tobytes()
    return write_raw(path, header, data)


def write_model(
    folder: Path, arrays: Mapping[str, np.ndarray], shards: Mapping[str, str] | None = None
) -> Path:
    """A model folder; with ``shards``, tensor -> file, sharded and with an index."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text("{}")
    if shards is None:
        write(folder / "model.safetensors", arrays)
        return folder
    for file in set(shards.values()):
        write(folder / file, {n: a for n, a in arrays.items() if shards.get(n) == file})
    write_index(folder, shards)
    return folder


def write_index(folder: Path, weight_map: object) -> None:
    index = {"metadata": {"total_size": 0}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
