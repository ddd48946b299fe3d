"""Which tensors of a candidate differ from what is in memory, told without looking at them."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

from evomerge.merging.plan import Plan, TensorPlan
from evomerge.merging.surveys import inputs_key


def signatures(plan: Plan) -> Mapping[str, Hashable]:
    """For each output tensor all that decides its numbers: equal ones, equal numbers.

    The seed and the places of the models in the recipe address the noise of random methods. They
    count for all methods: which ones draw is not declared.
    """
    pools: dict[Hashable, list[Hashable]] = {}
    for tensor in plan.tensors:
        if _pooled(plan, tensor):
            pools.setdefault(_models(tensor), []).append(inputs_key(tensor))
    pooled = {models: hash(tuple(inputs)) for models, inputs in pools.items()}
    return {
        tensor.info.name: _signature(plan, tensor)
        if not _pooled(plan, tensor)
        else (_signature(plan, tensor), pooled[_models(tensor)])
        for tensor in plan.tensors
    }


def _signature(plan: Plan, tensor: TensorPlan) -> Hashable:
    made_of = (inputs_key(tensor), tensor.info.dtype)
    if tensor.parameters is None:
        return made_of
    # Written out, since -0.0 equals 0.0 and is another number.
    parameters = repr(tensor.parameters)
    return *made_of, plan.method.name, parameters, plan.recipe.seed, _models(tensor)


def _models(tensor: TensorPlan) -> tuple[int, ...]:
    return tuple(each.model for each in tensor.inputs)


def _pooled(plan: Plan, tensor: TensorPlan) -> bool:
    return tensor.parameters is not None and plan.method.pools(tensor.parameters)
