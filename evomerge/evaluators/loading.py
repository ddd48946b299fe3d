"""Reads a model folder into memory, to be scored."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel
from transformers.utils import logging

from evomerge.errors import CheckpointError, EvaluationError, unknown
from evomerge.evaluators.base import LoadedModel

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

DTYPES = ("auto", "bfloat16", "float16", "float32", "float64")
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")
# What transformers raises for a folder that is not, or not quite, a model.
UNLOADABLE = (OSError, ValueError, KeyError, ImportError, RuntimeError, SafetensorError)


@contextmanager
def quiet() -> Iterator[None]:
    """Without the progress bars of transformers, which its users know from loading models."""
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def load_model(
    folder: str | Path,
    *,
    device: str = "auto",
    dtype: str = "auto",
    label: str | None = None,
    trust_remote_code: bool = False,
) -> LoadedModel:
    """The model and the tokenizer of a folder, or of a Hugging Face id, in evaluation mode.

    Args:
        folder: where they are. Only safetensors are read, never pickles.
        device: ``auto`` is ``cuda`` where there is one, else ``cpu``.
        dtype: ``auto`` is what the folder holds.
        label: what messages call it; by default ``folder``.
        trust_remote_code: run the Python code that comes with the model.

    Raises:
        CheckpointError: there is no such model, or its files are not a whole one.
        EvaluationError: there is no such device or dtype.
    """
    tokenizer = load_tokenizer(folder, trust_remote_code=trust_remote_code)
    model = load_weights(folder, device=device, dtype=dtype, trust_remote_code=trust_remote_code)
    return LoadedModel(model, tokenizer, label or str(folder), folder=_here(Path(folder)))


def load_weights(
    folder: str | Path,
    *,
    device: str = "auto",
    dtype: str = "auto",
    trust_remote_code: bool = False,
) -> PreTrainedModel:
    """The model alone: as `load_model` has it, and with the same arguments and errors."""
    place = str(folder)
    _check_place(folder)
    if dtype not in DTYPES:
        raise EvaluationError(f"{place}: {unknown('dtype', dtype, DTYPES)}")
    try:
        model, report = AutoModelForCausalLM.from_pretrained(
            place,
            dtype=dtype,
            use_safetensors=True,
            trust_remote_code=trust_remote_code,
            output_loading_info=True,
        )
    except UNLOADABLE as error:
        raise CheckpointError(_cannot_load(place, error)) from error
    _refuse_holes(place, report)
    return _placed(model, device).eval().requires_grad_(False)


def load_tokenizer(
    folder: str | Path, *, trust_remote_code: bool = False
) -> PreTrainedTokenizerBase:
    """The tokenizer of a folder, or of a Hugging Face id.

    Raises:
        CheckpointError: there is no such folder, or no tokenizer in it.
    """
    _check_place(folder)
    place = str(folder)
    try:
        return AutoTokenizer.from_pretrained(place, trust_remote_code=trust_remote_code)
    except UNLOADABLE as error:
        raise CheckpointError(_cannot_load(place, error)) from error


def outline_model(
    folder: Path, *, label: str | None = None, trust_remote_code: bool = False
) -> LoadedModel:
    """A folder's model without weights, on torch's ``meta`` device, and its tokenizer.

    It takes no time and no memory: what evaluators that read the folder themselves need of it.

    Raises:
        CheckpointError: the folder has no configuration or no tokenizer.
    """
    place = str(folder)
    tokenizer = load_tokenizer(folder, trust_remote_code=trust_remote_code)
    try:
        config = AutoConfig.from_pretrained(place, trust_remote_code=trust_remote_code)
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(
                config, dtype=config.dtype, trust_remote_code=trust_remote_code
            )
    except UNLOADABLE as error:
        raise CheckpointError(_cannot_load(place, error)) from error
    return LoadedModel(model.eval(), tokenizer, label or place, folder=_here(folder))


def _here(folder: Path) -> Callable[[], Path] | None:
    """Gives ``folder``, if there is one: an id of the Hugging Face hub is none."""
    return (lambda: folder) if folder.is_dir() else None


def _may_be_an_id(label: str) -> bool:
    """Whether ``label`` has the form of a Hugging Face id: ``name`` or ``owner/name``."""
    return label.count("/") <= 1 and not label.startswith(("/", ".", "~")) and "\\" not in label


def _check_place(folder: str | Path) -> None:
    place = str(folder)
    if not Path(folder).is_dir() and not _may_be_an_id(place):
        raise CheckpointError(f"{place}: no such folder; give a model folder or a Hugging Face id")
    _refuse_pickles(Path(folder))


def _refuse_pickles(folder: Path) -> None:
    if not folder.is_dir() or any(folder.glob("*.safetensors")):
        return
    pickles = sorted(file.name for pattern in PICKLES for file in folder.glob(pattern))
    if pickles:
        raise CheckpointError(
            f"{folder}: {pickles[0]} is a pickle, which can run code when it is read; "
            "load it where you trust it and save it with save_pretrained, which writes safetensors"
        )


def _cannot_load(label: str, error: Exception) -> str:
    reason = " ".join(str(error).split()) or type(error).__name__
    if Path(label).is_dir():
        return f"{label}: transformers cannot load this folder; {reason}"
    return f"{label}: neither a folder here nor a model of the Hugging Face hub in reach; {reason}"


def _refuse_holes(label: str, report: dict[str, object]) -> None:
    """Weights that a folder lacks are drawn at random by transformers: such scores mean nothing."""
    for what in ("missing_keys", "mismatched_keys"):
        found = report.get(what)
        if isinstance(found, set | list | tuple) and found:
            names = sorted(str(name) for name in found)
            raise CheckpointError(
                f"{label}: {len(names)} {what.replace('_', ' ')}, first {names[0]}; "
                "the weights do not make a whole model of its config.json"
            )


def _placed(model: PreTrainedModel, device: str) -> PreTrainedModel:
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return model.to(device)
    except (RuntimeError, AssertionError) as error:
        first = str(error).splitlines()[0]
        raise EvaluationError(f"device '{device}': {first}; expected auto, cpu, cuda, …") from error
