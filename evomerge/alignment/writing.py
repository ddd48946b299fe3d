"""An element acts on a checkpoint: tensor by tensor, from one folder into another."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from evomerge.alignment.checking import changed_share, check_same, logits_in
from evomerge.alignment.elements import Element, is_exact, is_symmetry
from evomerge.alignment.layout import Layout
from evomerge.alignment.moving import moved, moved_shape
from evomerge.alignment.on_disk import layout_of_source
from evomerge.alignment.widening import widened
from evomerge.checkpoint.config import DTYPE_KEYS
from evomerge.checkpoint.reader import Checkpoint
from evomerge.checkpoint.shards import INDEX, index_of
from evomerge.checkpoint.tensors import TensorInfo
from evomerge.checkpoint.tokenizer_files import copy_generation_config, copy_tokenizer
from evomerge.checkpoint.writer import FolderWriter
from evomerge.dtypes import FLOAT32, FLOAT64, dtype_name, is_float
from evomerge.errors import AlignmentError, OutputError

SHARD_BYTES = 5 * 10**9

Progress = Callable[[int], None]


def write_moved(
    source: Checkpoint,
    element: Element,
    out: Path,
    *,
    force: bool = False,
    progress: Progress | None = None,
) -> float:
    """Writes a model after an element has acted on it, whole or not at all.

    Where numbers get factors, tensors of 16 bits are written as float32: rounded to 16 bits again,
    the model would compute something a little different. Where units are mixed, it computes
    something else, and how much that is is only told.

    Args:
        source: the model.
        element: what is done.
        out: the folder to write.
        force: replace a model that stands there.
        progress: called with the number of finished elements of tensors.

    Returns:
        How much the logits of a probe batch changed, relative to their norm.

    Raises:
        AlignmentError: the family has no declaration, or the model would compute something else.
        OutputError: the folder cannot be written.
    """
    layout = layout_of_source(source)
    infos = [_moved(source.info(name), layout, element) for name in source.names()]
    _check_is_none_of([source], out, force=force)
    with FolderWriter(out, infos, shard_bytes=SHARD_BYTES, force=force) as writer:
        for info in infos:
            tensor = source.load(info.name)
            if info.name in layout.tensors:
                wide = tensor.astype(info.dtype)
                tensor = moved(wide, layout.tensors[info.name], element)
            writer.write(info.name, 0, tensor)
            if progress is not None:
                progress(info.size)
        _write_documents(source, widened(source.config, layout, element), infos, writer)
        dtype = torch.float64 if any(i.dtype == FLOAT64 for i in infos) else torch.float32
        before = logits_in(source.folder, dtype)
        after = logits_in(writer.folder, dtype)
        check = partial(check_same, where=source.label) if is_symmetry(element) else changed_share
        change = check(before, after)
        writer.commit()
    return change


def check_place(source: Checkpoint, anchor: Checkpoint, out: Path, *, force: bool) -> None:
    """Refuses a place where the moved model must not be written, before anything is computed.

    Raises:
        OutputError: the folder cannot be written, or is one of the two models.
    """
    _check_is_none_of((source, anchor), out, force=force)
    infos = [_written(source.info(name), exact=False) for name in source.names()]
    FolderWriter(out, infos, shard_bytes=SHARD_BYTES, force=force)


def _check_is_none_of(models: Iterable[Checkpoint], out: Path, *, force: bool) -> None:
    for model in models:
        if force and model.folder.resolve().is_relative_to(out.resolve()):
            raise OutputError(
                f"{out}: would replace {model.label}, which is being aligned; choose another"
            )


def _moved(info: TensorInfo, layout: Layout, element: Element) -> TensorInfo:
    shape = moved_shape(info.shape, layout.tensors.get(info.name, ()), element)
    return replace(_written(info, exact=is_exact(element)), shape=shape)


def _written(info: TensorInfo, *, exact: bool) -> TensorInfo:
    small = is_float(info.dtype) and info.dtype.itemsize < FLOAT32.itemsize
    if small and info.dtype.itemsize < FLOAT32.itemsize // 2:
        raise AlignmentError(f"{info.name}: is of {info.dtype}; only wider floats are aligned")
    return TensorInfo(info.name, info.shape, FLOAT32) if small and not exact else info


def _write_documents(
    source: Checkpoint, config: dict[str, object], infos: list[TensorInfo], writer: FolderWriter
) -> None:
    """All that transformers reads besides the weights, the index included: the check loads it."""
    folder = writer.folder
    largest = max(infos, key=lambda info: info.size)
    config |= {key: dtype_name(largest.dtype) for key in DTYPE_KEYS if key in config}
    text = json.dumps(config, indent=2, ensure_ascii=False)
    (folder / "config.json").write_text(text + "\n", encoding="utf-8")
    if len(writer.shards) > 1:
        (folder / INDEX).write_text(index_of(writer.shards), encoding="utf-8")
    copy_generation_config(source.folder, folder)
    copy_tokenizer(source.folder, folder)
