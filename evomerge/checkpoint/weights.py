"""Which safetensors files of a model folder hold its tensors.

The order of preference is that of transformers: ``model.safetensors``, then
``model.safetensors.index.json`` and the shards it names. Pickles are refused: loading one runs
whatever code its author put in.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack, closing
from pathlib import Path, PurePosixPath, PureWindowsPath

from evomerge.checkpoint.documents import mapping_in, read_json
from evomerge.checkpoint.shards import INDEX
from evomerge.checkpoint.tensor_file import TensorFile
from evomerge.errors import CheckpointError

SINGLE = "model.safetensors"
ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"

# Mistral's own format, which lies beside the shards in its repositories.
_MISTRAL = "consolidated.safetensors"
_PICKLES = ("pytorch_model*.bin*", "*.pt", "*.pth", "*.ckpt", "consolidated.*.bin")
_SHARD_NUMBER = re.compile(r"-\d+-of-\d+\.safetensors$")


def open_weights(folder: Path, label: str) -> list[TensorFile]:
    """Opens the files that hold the tensors of a model, each tensor in exactly one of them.

    Raises:
        CheckpointError: there are none, or only pickles; the index and the shards disagree; a
            file is missing or corrupt.
    """
    if (folder / SINGLE).is_file() or (folder / SINGLE).is_symlink():
        return [TensorFile(folder / SINGLE)]
    if (folder / INDEX).is_file():
        return _open_shards(folder)
    return [TensorFile(_only_file(folder, label))]


def refuse_pickles(folder: Path, patterns: tuple[str, ...], remedy: str) -> None:
    """Raises a CheckpointError with the ``remedy`` if a file of the folder is a pickle."""
    for pattern in patterns:
        if found := sorted(folder.glob(pattern)):
            raise CheckpointError(
                f"{found[0]}: a pickle, which can run code when it is loaded; convert it, if you "
                f"trust whoever made it:\n       {remedy}"
            )


def _only_file(folder: Path, label: str) -> Path:
    """The one safetensors file under another name, if there is exactly one."""
    found = sorted(folder.glob("*.safetensors"))
    found = [f for f in found if f.name not in (ADAPTER_WEIGHTS, _MISTRAL)]
    if not found:
        refuse_pickles(folder, _PICKLES, _conversion(folder, label))
        raise CheckpointError(f"{folder}: no weights; expected {SINGLE} or {INDEX}")
    if len(found) > 1 or _SHARD_NUMBER.search(found[0].name):
        names = ", ".join(file.name for file in found[:3])
        raise CheckpointError(
            f"{folder / INDEX}: missing, but the folder has {names}"
            f"{', …' if len(found) > 3 else ''}; download the index too"  # noqa: PLR2004
        )
    return found[0]


def _conversion(folder: Path, label: str) -> str:
    new = f"{label.rpartition('/')[-1]}-safetensors"
    load = f"AutoModelForCausalLM.from_pretrained({str(folder)!r}, use_safetensors=False)"
    save = f"save_pretrained({new!r}, safe_serialization=True)"
    return f'python -c "from transformers import AutoModelForCausalLM; {load}.{save}"'


def _open_shards(folder: Path) -> list[TensorFile]:
    """The shards of an index, which must agree with it tensor by tensor."""
    index = folder / INDEX
    entries = mapping_in(read_json(index), "weight_map", str(index))
    if not entries:
        raise CheckpointError(f"{index}: names no tensors under 'weight_map'")
    a_tensor_of = {str(file): name for name, file in entries.items()}
    with ExitStack() as stack:
        files = {}
        for file, tensor in sorted(a_tensor_of.items()):
            path = _inside(folder, file, tensor)
            if not path.is_file():
                raise CheckpointError(f"{path}: missing; {INDEX} says it holds {tensor}")
            files[file] = stack.enter_context(closing(TensorFile(path)))
        _compare(folder, entries, files)
        stack.pop_all()
    return list(files.values())


def _inside(folder: Path, file: str, tensor: str) -> Path:
    """The path of a shard, which must lie in the folder.

    A file of the Hugging Face cache is a link from ``snapshots/<revision>`` to ``blobs`` of the
    same repository, which is as good.
    """
    path, root = folder / file, folder.resolve()
    bare = not PurePosixPath(file).is_absolute() and not PureWindowsPath(file).is_absolute()
    allowed = [root]
    if root.parent.name == "snapshots":
        allowed.append(root.parent.parent / "blobs")
    if not bare or ".." in Path(file).parts or not _under(path.resolve(), allowed):
        raise CheckpointError(
            f"{folder / INDEX}: {tensor}: {file!r} lies outside the folder; expected a file in it "
            "(a hard link will do, a symbolic link will not)"
        )
    return path


def _under(path: Path, roots: list[Path]) -> bool:
    return any(path.is_relative_to(root) for root in roots)


def _compare(folder: Path, entries: Mapping[str, object], files: Mapping[str, TensorFile]) -> None:
    """Every tensor stands where the index says, and nowhere else."""
    held = Counter(name for file in files.values() for name in file.tensors)
    for name, file in entries.items():
        if name not in files[str(file)].tensors:
            raise CheckpointError(f"{folder / str(file)}: has no {name}; {INDEX} says it has")
    for file, opened in files.items():
        for name in opened.tensors:
            if held[name] > 1:
                others = [str(f) for f, other in files.items() if name in other.tensors]
                raise CheckpointError(f"{folder}: {name}: in {' and '.join(others)}; expected once")
            if name not in entries:
                raise CheckpointError(f"{folder / file}: {name}: in the file but not in {INDEX}")
