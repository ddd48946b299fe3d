"""Measures a whole model, and writes what it finds, layer by layer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from evomerge.checkpoint.source import Source
from evomerge.errors import MergeError
from evomerge.evaluators.loading import load_tokenizer
from evomerge.measurements.grams import Grams, is_linear
from evomerge.measurements.squares import (
    SquaredGradients,
    drawn,
    log_probability,
    not_finite,
)
from evomerge.measurements.stages import Batch, Stages, batches_of
from evomerge.measurements.subject import Subject, subject_of
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
    subject = subject_of(source, device)
    items = read_items(data, load_tokenizer(source.folder), source.label)
    writing = Writing(folder)
    if kind == GRAM:
        _measure_grams(subject, batches_of(items, data.batch, subject.device), writing)
        norm = 1.0
    else:
        seed = None if kind == EMPIRICAL_FISHER else data.seed
        norm = _measure_fisher(subject, items, seed, writing)
    if not writing.tensors:
        raise MergeError(
            f"{source.label}: transformers holds none of its tensors as they are on disk, so "
            "nothing can be measured; merge it with another method"
        )
    writing.finish(norm)


def _measure_grams(subject: Subject, batches: Sequence[Batch], writing: Writing) -> None:
    place, layers = subject.layers()
    linear = {name: each for name, each in subject.model.named_modules() if is_linear(each)}
    outside = Grams({n: m for n, m in linear.items() if not n.startswith(f"{place}.")})
    stages = Stages(subject.model, layers, subject.label)
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


def _measure_fisher(
    subject: Subject, items: Sequence[Sequence[int]], seed: int | None, writing: Writing
) -> float:
    """Returns the length of the whole diagonal as one vector.

    Outcomes are drawn from ``seed``; where it is None, they are what the items say.
    """
    parameters = dict(subject.model.named_parameters())
    squares = SquaredGradients({n: parameters[n] for n in subject.names})
    try:
        for number, item in enumerate(items):
            tokens = torch.tensor([item], device=subject.device)
            logits = subject.model(input_ids=tokens, use_cache=False).logits[0, :-1]
            outcomes = tokens[0, 1:] if seed is None else drawn(logits, seed, number)
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
