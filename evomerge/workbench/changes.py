"""Which tensors of a candidate differ from what is in memory, told without looking at them."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

from evomerge.merging.plan import Plan, TensorPlan
from evomerge.merging.surveys import inputs_key, is_pooled, pool_key


def signatures(plan: Plan) -> Mapping[str, Hashable]:
    """For each output tensor all that decides its numbers: equal ones, equal numbers."""
    pools: dict[Hashable, list[Hashable]] = {}
    for tensor in plan.tensors:
        if is_pooled(tensor):
            pools.setdefault(pool_key(tensor), []).append(inputs_key(tensor))
    pooled = {key: hash(tuple(inputs)) for key, inputs in pools.items()}
    return {
        tensor.info.name: _signature(plan, tensor)
        if not is_pooled(tensor)
        else (_signature(plan, tensor), pooled[pool_key(tensor)])
        for tensor in plan.tensors
    }


def _signature(plan: Plan, tensor: TensorPlan) -> Hashable:
    made_of = (inputs_key(tensor), tensor.info.dtype)
    if tensor.parameters is None:
        return made_of
    # Written out, since -0.0 equals 0.0 and is another number.
    decided = (*made_of, tensor.method.name, repr(tensor.parameters))
    if not tensor.draws:
        return decided
    # These address the noise.
    return *decided, plan.recipe.seed, tuple(each.model for each in tensor.inputs)
