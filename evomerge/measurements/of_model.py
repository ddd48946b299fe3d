"""Measures a whole model, and writes what it finds, layer by layer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from evomerge.checkpoint.source import Source
from evomerge.errors import MergeError
from evomerge.evaluators.loading import load_model, quiet
from evomerge.families import Family, family_of
from evomerge.measurements.grams import Grams, is_linear
from evomerge.measurements.squares import (
    SquaredGradients,
    drawn,
    log_probability,
    not_finite,
)
from evomerge.measurements.stages import Stages, batches_of, layers_of
from evomerge.measurements.texts import read_items
from evomerge.methods.measured import EMPIRICAL_FISHER, GRAM
from evomerge.recipe.data import Data

INDEX = "index.json"


@dataclass
class Writing:
    """A folder of measurements that is being written.

    Attributes:
        folder: where.
        tensors: what stands in the index of each tensor.
    """

    folder: Path
    tensors: dict[str, dict[str, object]] = field(default_factory=dict)
    _files: int = 0

    def write(self, found: Mapping[str, Tensor]) -> str:
        """Writes some arrays into a file of their own, and returns its name."""
        name = f"{self._files:05d}.safetensors"
        self._files += 1
        arrays = {key: each.detach().to("cpu", torch.float32) for key, each in found.items()}
        save_file({key: each.contiguous() for key, each in arrays.items()}, self.folder / name)
        return name

    def finish(self, norm: float) -> None:
        """Writes the index, without which the folder is nothing."""
        index = {"norm": norm, "tensors": self.tensors}
        (self.folder / INDEX).write_text(json.dumps(index), encoding="utf-8")


@dataclass(frozen=True)
class Subject:
    """A model in memory, about to be measured.

    Attributes:
        model: in float32.
        items: token ids.
        names: what a parameter in memory is called on disk, where it is the same tensor.
        family: of the model.
        label: what messages call it.
    """

    model: Any
    items: Sequence[Sequence[int]]
    names: Mapping[str, str]
    family: Family
    label: str

    def on_disk(self, module: str, part: str) -> str | None:
        """The name on disk of a module's ``weight`` or ``bias``."""
        return self.names.get(f"{module}.{part}")


def measure(source: Source, kind: str, data: Data, device: str, folder: Path) -> None:
    """Measures a model and writes what it finds into an empty folder.

    Args:
        source: the model, with its adapter if it has one.
        kind: one of those of ``evomerge.methods.measured``.
        data: what it is shown.
        device: where to compute.
        folder: where to write.

    Raises:
        EvomergeError: the model or the texts cannot be read; gradients are not finite.
    """
    subject = _subject(source, data, device)
    writing = Writing(folder)
    if kind == GRAM:
        _measure_grams(subject, data, writing)
        norm = 1.0
    else:
        norm = _measure_fisher(subject, data, writing, empirical=kind == EMPIRICAL_FISHER)
    if not writing.tensors:
        raise MergeError(
            f"{source.label}: transformers holds none of its tensors as they are on disk, so "
            "nothing can be measured; merge it with another method"
        )
    writing.finish(norm)


def _subject(source: Source, data: Data, device: str) -> Subject:
    with quiet():
        loaded = load_model(source.folder, device=device, dtype="float32", label=source.label)
    model: Any = loaded.model
    tied = bool(getattr(model.config, "tie_word_embeddings", False))
    if tied and source.config.get("tie_word_embeddings") is False:
        raise MergeError(
            f"{source.label}: its adapter unties the head from the embedding; merge the adapter "
            "into its model first"
        )
    family = family_of(source.config, source.names(), source.label)
    bare = {family.bare(name): name for name in source.names()}
    head = getattr(model.get_output_embeddings(), "weight", None)
    names: dict[str, str] = {}
    for name, parameter in model.named_parameters():
        # Some heads have another name in memory.
        found = bare.get(family.head if parameter is head and not tied else family.bare(name))
        if found is not None and source.info(found).shape == tuple(parameter.shape):
            names[name] = found
            _copy(source, found, parameter)
    items = read_items(data, loaded.tokenizer, source.label)
    return Subject(model, items, names, family, source.label)


def _copy(source: Source, name: str, parameter: Tensor) -> None:
    """Gives a parameter the source's numbers: those of the folder, or what an adapter made."""
    array = source.load(name).astype("float32")
    with torch.no_grad():
        parameter.copy_(torch.from_numpy(array))


def _measure_grams(subject: Subject, data: Data, writing: Writing) -> None:
    model = subject.model
    places = (f"{root}{subject.family.layers}".rstrip(".") for root in subject.family.roots)
    found = layers_of(model, places)
    if found is None:
        raise MergeError(f"{subject.label}: transformers' model has no list of layers")
    place, layers = found
    linear = {name: each for name, each in model.named_modules() if is_linear(each)}
    batches = batches_of(subject.items, data.batch, next(model.parameters()).device)
    outside = Grams({n: m for n, m in linear.items() if not n.startswith(f"{place}.")})
    stages = Stages(model, layers, subject.label)
    stages.begin(batches, outside)
    _write_grams(subject, outside, writing)
    for number in range(len(layers)):
        prefix = f"{place}.{number}."
        grams = Grams({n: m for n, m in linear.items() if n.startswith(prefix)})
        stages.run(number, grams)
        _write_grams(subject, grams, writing)


def _write_grams(subject: Subject, grams: Grams, writing: Writing) -> None:
    shown = {name: leader for name, leader in grams.leaders.items() if leader in grams.sums}
    bad = not_finite(grams.sums)
    if bad is not None:
        raise MergeError(f"{subject.label}: {bad}: what goes into this layer is not finite")
    wanted = {n: leader for n, leader in shown.items() if subject.on_disk(n, "weight")}
    if not wanted:
        return
    file = writing.write({leader: grams.sums[leader] for leader in wanted.values()})
    for name, leader in wanted.items():
        weight, bias = (subject.on_disk(name, part) for part in ("weight", "bias"))
        turned = not isinstance(grams.modules[name], nn.Linear)
        entry = {"file": file, "key": leader, "turned": turned}
        writing.tensors[str(weight)] = {**entry, "partner": bias}
        if bias is not None:
            writing.tensors[bias] = {**entry, "partner": weight}


def _measure_fisher(subject: Subject, data: Data, writing: Writing, *, empirical: bool) -> float:
    """Returns the length of the whole diagonal as one vector."""
    parameters = dict(subject.model.named_parameters())
    squares = SquaredGradients({n: parameters[n] for n in subject.names})
    device = next(iter(parameters.values())).device
    try:
        for number, item in enumerate(subject.items):
            tokens = torch.tensor([item], device=device)
            logits = subject.model(input_ids=tokens, use_cache=False).logits[0, :-1]
            outcomes = tokens[0, 1:] if empirical else drawn(logits, data.seed, number)
            squares.add(log_probability(logits, outcomes))
    finally:
        squares.close()
    found = squares.mean()
    bad = not_finite(found)
    if bad is not None:
        raise MergeError(
            f"{subject.names[bad]}: the gradients of {subject.label} are not finite; mend the "
            "model, or leave out the items that it cannot predict"
        )
    groups: dict[int | None, dict[str, Tensor]] = {}
    for name, each in found.items():
        disk = subject.names[name]
        groups.setdefault(subject.family.layer_of(disk), {})[disk] = each
    for tensors in groups.values():
        file = writing.write(tensors)
        writing.tensors |= {name: {"file": file, "key": name} for name in tensors}
    return sum(float(each.double().square().sum()) for each in found.values()) ** 0.5
