"""What the units of a model do on a probe: its residual stream, its neurons, its heads.

The whole model is in memory, in float32; of what its units do, one layer at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, cat, nn

from evomerge.checkpoint.source import Source
from evomerge.errors import MergeError
from evomerge.measurements.stages import Stages, batches_of
from evomerge.measurements.subject import Subject, subject_of

Activations = NDArray[np.float32]

RESIDUAL = "residual"
# Texts that pass a layer at a time.
BATCH = 8


def unit_activations(
    source: Source, tokens: Tensor, readers: Mapping[str, str], device: str = "cpu"
) -> Iterator[tuple[str, Activations]]:
    """What each group of units does: its name and ``(tokens, units)``, in the order of the network.

    First comes the residual stream as the embedding gives it; then, layer by layer, the groups of
    the layer, and the stream behind it. The stream is called ``residual`` each time.

    Args:
        source: the model, with its adapter if it has one.
        tokens: ``(texts, length)``, int64: the probe.
        readers: for each group, the weight on disk of the linear layer that reads its units: of
            neurons the down projection, of heads the output projection. Names of groups and of
            weights are free.
        device: where to compute.

    Raises:
        CheckpointError: the model cannot be read.
        MergeError: a reader is no linear layer of the model in memory, or what units do is not
            finite.
    """
    subject = subject_of(source, device)
    _, layers = subject.layers()
    groups = [_in_layer(subject, readers, number) for number in range(len(layers))]
    stages = Stages(subject.model, layers, subject.label)
    stages.begin(batches_of(tokens.tolist(), BATCH, subject.device), _Inputs({}))
    yield RESIDUAL, _finite(stages.stream(), f"{source.label}: {RESIDUAL} behind the embedding")
    for number, modules in enumerate(groups):
        inputs = _Inputs(modules)
        stages.run(number, inputs)
        for group in modules:
            yield group, _finite(inputs.of(group), f"{source.label}: {group}")
        stream = stages.stream()
        yield RESIDUAL, _finite(stream, f"{source.label}: {RESIDUAL} behind layer {number}")


def _in_layer(subject: Subject, readers: Mapping[str, str], layer: int) -> Mapping[str, nn.Module]:
    """The modules that read the groups of a layer."""
    modules = dict(subject.model.named_modules())
    places = {disk: memory.rpartition(".")[0] for memory, disk in subject.names.items()}
    found = {}
    for group, name in readers.items():
        if subject.family.layer_of(name) != layer:
            continue
        if name not in places:
            raise MergeError(
                f"{subject.label}: {name}: transformers does not hold it as it is on disk, so what "
                "it reads cannot be seen"
            )
        found[group] = modules[places[name]]
    return found


@dataclass
class _Inputs:
    """What some modules are given."""

    modules: Mapping[str, nn.Module]
    seen: dict[str, list[Tensor]] = field(default_factory=dict)

    @contextmanager
    def watching(self, counted: Tensor) -> Iterator[None]:
        """Keeps what they are given meanwhile, where it is no filling."""

        def keep(group: str, shown: Tensor) -> None:
            self.seen.setdefault(group, []).append(shown[counted])

        with ExitStack() as hooks:
            for group, module in self.modules.items():
                hook = module.register_forward_pre_hook(
                    lambda _, arguments, group=group: keep(group, arguments[0])
                )
                hooks.callback(hook.remove)
            yield

    def of(self, group: str) -> Tensor:
        """``(tokens, units)``, all batches together."""
        return cat(self.seen.pop(group))


def _finite(activations: Tensor, where: str) -> Activations:
    if not bool(activations.isfinite().all()):
        raise MergeError(f"{where}: holds NaN or infinity on this text; mend the model")
    found: Activations = activations.cpu().numpy()
    return found
