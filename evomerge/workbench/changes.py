"""Which tensors of a candidate differ from what is in memory, told without looking at them."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

from evomerge.merging.measured import data_decides
from evomerge.merging.plan import Plan, TensorPlan
from evomerge.merging.surveys import inputs_key, is_pooled, pool_key


def signatures(plan: Plan) -> Mapping[str, Hashable]:
    """For each output tensor all that decides its numbers: equal ones, equal numbers."""
    pools: dict[Hashable, list[Hashable]] = {}
    for tensor in plan.tensors:
        if is_pooled(tensor):
            pools.setdefault(pool_key(tensor), []).append(inputs_key(tensor))
    pooled = {key: hash(tuple(inputs)) for key, inputs in pools.items()}
    decided: dict[Hashable, Hashable] = {}
    for tensor in plan.tensors:
        if _asked(tensor) not in decided:
            decided[_asked(tensor)] = _decided(plan, tensor)
    return {
        tensor.info.name: (
            inputs_key(tensor),
            tensor.info.dtype,
            decided[_asked(tensor)],
            pooled[pool_key(tensor)] if is_pooled(tensor) else None,
        )
        for tensor in plan.tensors
    }


def _asked(tensor: TensorPlan) -> Hashable:
    """Equal for tensors of which a recipe asks the same: they share their parameters."""
    return id(tensor.parameters), *pool_key(tensor)


def _decided(plan: Plan, tensor: TensorPlan) -> Hashable:
    """What the recipe says of a tensor, if it is not copied."""
    if tensor.parameters is None:
        return None
    # Written out, since -0.0 equals 0.0 and is another number.
    decided = tensor.method.name, repr(tensor.parameters), data_decides(plan, tensor)
    if not tensor.draws:
        return decided
    # These address the noise.
    return *decided, plan.recipe.seed, tuple(each.model for each in tensor.inputs)
