"""The measurements of a plan's inputs: found or made before merging, looked up while merging."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

from evomerge.measurements.kept import Measurements, measurements_of
from evomerge.merging.data import data_for, references_of
from evomerge.merging.inputs import Input
from evomerge.merging.plan import Plan, TensorPlan
from evomerge.methods.measured import Measured


class MeasuredInputs:
    """What was measured of the inputs of a plan's tensors."""

    def __init__(self, plan: Plan, device: str) -> None:
        """Nothing is measured yet."""
        self._plan = plan
        self._device = device
        self._references = references_of(plan.models)
        self._found: dict[tuple[str, int], Measurements] = {}

    def prepare(self) -> None:
        """Finds or makes all that the plan needs, one model after the other.

        Raises:
            EvomergeError: a model cannot be measured with its data.
        """
        for tensor in self._plan.tensors:
            for each in tensor.inputs if tensor.measures is not None else ():
                key = str(tensor.measures), each.model
                if key not in self._found:
                    data = data_for(self._plan.recipe, self._references[each.model])
                    self._found[key] = measurements_of(each.source, key[0], data, self._device)

    def of(self, tensor: TensorPlan) -> Callable[[], Sequence[Measured]]:
        """Gives the measurements of a tensor's inputs; none unless every one was measured."""
        kind = tensor.measures
        if kind is None:
            return tuple

        def look_up() -> Sequence[Measured]:
            found = [self._of(kind, each) for each in tensor.inputs]
            known = [each for each in found if each is not None]
            return known if len(known) == len(found) else ()

        return look_up

    def _of(self, kind: str, each: Input) -> Measured | None:
        return self._found[kind, each.model].of(each.name)


def data_decides(plan: Plan, tensor: TensorPlan) -> Hashable:
    """What of the data decides a tensor; None if its method looks at none."""
    if tensor.measures is None:
        return None
    references = references_of(plan.models)
    return tuple(data_for(plan.recipe, references[each.model]) for each in tensor.inputs)
