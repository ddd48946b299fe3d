"""Recipes for every deterministic method, made of a method's settings, a style and a structure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle, product

Tree = dict[str, object]
Numbers = Mapping[str, Sequence[float]]

# --- what a method is given ---


@dataclass(frozen=True)
class Given:
    """One method with its parameters.

    Attributes:
        method: its name.
        each: by parameter, a number for each expert.
        number: parameters that are one number for all.
        shared: other parameters that hold for all, as they are.
        base: ``task`` if there is a base beside the experts, ``listed`` if it is one of the models,
            ``none``.
        dtype: of the recipe.
    """

    method: str
    each: Numbers = field(default_factory=dict)
    number: Mapping[str, float] = field(default_factory=dict)
    shared: Mapping[str, object] = field(default_factory=dict)
    base: str = "task"
    dtype: str = "float32"

    def __str__(self) -> str:
        words = [f"{key} {value}" for key, value in (self.number | self.shared).items()]
        return " ".join([self.method, *self.each, *words, "" if self.base == "none" else self.base])

    @property
    def experts(self) -> int:
        """How many models there are beside the base."""
        return EXPERTS.get(self.method, 3)


EXPERTS = {"slerp": 1, "nearswap": 1, "arcee_fusion": 1, "nuslerp": 2}
WEIGHT = {"weight": (0.7, -0.3, 0.9)}
POSITIVE = {"weight": (0.2, 0.5, 0.4)}
DENSITY = {"density": (0.5, 0.31, 0.9)}
GAMMA = {"gamma": (0.01, 0.1, 0.3)}
TRIMMED = {**WEIGHT, **DENSITY}
WINDOWED = {**TRIMMED, **GAMMA}
BY_ROW = {"nuslerp_flatten": False}
BY_COLUMN = {"nuslerp_flatten": False, "nuslerp_row_wise": True}

GIVEN: Sequence[Given] = (
    Given("linear", POSITIVE, base="none"),
    Given("linear", WEIGHT, shared={"normalize": False}, base="listed"),
    Given("slerp", number={"t": 0.35}, base="listed"),
    Given("nuslerp", POSITIVE),
    Given("nuslerp", POSITIVE, base="none"),
    Given("nuslerp", POSITIVE, shared=BY_ROW, base="none"),
    Given("nuslerp", POSITIVE, shared=BY_COLUMN),
    Given("task_arithmetic", WEIGHT, {"lambda": 0.8}),
    Given("task_arithmetic", POSITIVE, shared={"normalize": True}),
    Given("ties", {**POSITIVE, **DENSITY}),
    Given("ties", TRIMMED, {"lambda": 0.8}, {"normalize": False}),
    Given("ties", TRIMMED, shared={"normalize": False, "rescale": True, "int8_mask": True}),
    Given("breadcrumbs", WINDOWED, {"lambda": 1.3}),
    Given("breadcrumbs", WINDOWED, shared={"rescale": True}),
    Given("breadcrumbs_ties", WINDOWED),
    Given("breadcrumbs_ties", {**POSITIVE, **DENSITY}, shared={"normalize": True}),
    Given("model_stock"),
    Given("model_stock", shared={"filter_wise": True}),
    Given("karcher", base="none"),
    Given("karcher", number={"tol": 1e-3}, shared={"max_iter": 3}, base="listed"),
    Given("multislerp", POSITIVE),
    Given("multislerp", WEIGHT, shared={"normalize_weights": False}, base="none"),
    Given("sce"),
    Given("sce", number={"select_topk": 0.6}, shared={"int8_mask": True}),
    Given("nearswap", number={"t": 0.01}),
    # In float32 mergekit's divergences are right to three digits or so: that moves a few elements
    # across the threshold.
    Given("arcee_fusion", dtype="float64"),
    Given("ram", number={"epsilon": 0.01}),
    Given("ramplus_tl"),
    Given("ramplus_tl", number={"r": 0.7, "alpha": 0.9, "epsilon": 0.01}),
    Given("passthrough", base="none"),
    Given("passthrough", {"scale": (0.8,)}, base="none"),
)

# --- how a number is written ---

STYLES: Mapping[str, Callable[[float], object]] = {
    "constants": lambda x: x,
    "gradients": lambda x: [x, 0.3 * x, 0.9 * x],
    "filters": lambda x: [
        {"filter": "self_attn", "value": x},
        {"filter": "mlp.down", "value": 0.4 * x},
        {"filter": "*", "value": 0.8 * x},
    ],
    "gradients with filters": lambda x: [
        {"filter": "layers.1.", "value": 0.6 * x},
        {"filter": "mlp", "value": [x, 0.2 * x, 0.7 * x, 0.5 * x]},
        {"value": [0.9 * x, 0.5 * x]},
    ],
    "text": lambda x: f"{x:e}",
    "gradients of text": lambda x: [str(x), str(0.5 * x)],
    "some for all": lambda x: [{"filter": "self_attn", "value": x}, {"filter": "norm", "value": x}],
}
# What is left to the settings that hold for all models, by style.
FOR_ALL: Mapping[str, Callable[[float], object]] = {
    "some for all": lambda x: [{"filter": "lm_head", "value": 0.5 * x}, {"value": [x, 0.6 * x]}]
}


# --- which layers of which models ---

LAYERS = 4  # of every model
# Slices as first layer and end; None is whole models.
STRUCTURES: Mapping[str, Sequence[tuple[int, int]] | None] = {
    "whole": None,
    "whole and the base listed": None,
    "halves": ((0, 2), (2, 4)),
    "repeated layers": ((0, 3), (1, 4)),
    "another order": ((2, 4), (0, 2)),
    "lone layers": ((0, 1), (1, 2), (3, 4)),
    "empty ends": ((4, 4), (0, 4), (0, 0)),
}

# --- which models ---

KINDS: Mapping[str, Mapping[str, str]] = {
    "llama": {},
    "tied": {},
    "qwen2": {},
    "mistral": {},
    "sharded": {},
    "mixed": {"base": "tied", "expert_1": "llama", "expert_2": "tied", "expert_3": "llama"},
}


@dataclass(frozen=True)
class Case:
    """One recipe."""

    given: Given
    style: str
    structure: str
    kind: str

    def __str__(self) -> str:
        return ", ".join([str(self.given), self.style, self.structure, self.kind])

    def recipe(self) -> Tree:
        """The recipe, which names models of ``conftest.KINDS``."""
        given, everywhere = self.given, FOR_ALL.get(self.style)
        shared = {name: STYLES[self.style](x) for name, x in given.number.items()}
        if everywhere is not None:
            shared = {name: everywhere(x) for name, x in given.number.items()}
            shared |= {name: everywhere(numbers[0]) for name, numbers in given.each.items()}
        tree = {"merge_method": given.method, "dtype": given.dtype, **self._layers()}
        if given.base != "none":
            tree["base_model"] = self._name("base")
        return {**tree, "parameters": {**shared, **given.shared}}

    def _layers(self) -> Tree:
        base = self._model("base", 0, bare=self.given.base == "task")
        models = [self._model(f"expert_{i + 1}", i) for i in range(self.given.experts)]
        unlisted = self.given.base == "task" and self.structure == "whole"
        if self.given.base != "none" and not unlisted:
            models = [base, *models]
        slices = STRUCTURES[self.structure]
        if slices is None:
            return {"models": models[: self._inputs(models)]}
        return {"slices": [self._slice(models, n, *ends) for n, ends in enumerate(slices)]}

    def _slice(self, models: Sequence[Tree], number: int, first: int, end: int) -> Tree:
        """In each slice the models are in another order, and some have earlier layers."""
        turned = [*models[number % len(models) :], *models[: number % len(models)]]
        sources = []
        for place, model in enumerate(turned[: self._inputs(models)]):
            back = min(place, first)
            sources.append({**model, "layer_range": [first - back, end - back]})
        return {"sources": sources}

    def _inputs(self, models: Sequence[Tree]) -> int:
        return 1 if self.given.method == "passthrough" else len(models)

    def _model(self, name: str, place: int, *, bare: bool = False) -> Tree:
        each = {} if bare else self.given.each
        # Too few numbers mean that the last holds for the others too.
        own = {key: numbers[min(place, len(numbers) - 1)] for key, numbers in each.items()}
        styled = {key: STYLES[self.style](number) for key, number in own.items()}
        return {"model": self._name(name), "parameters": styled}

    def _name(self, model: str) -> str:
        return f"{KINDS[self.kind].get(model, self.kind)}/{model}"


def all_cases() -> list[Case]:
    """Every method in every style and structure; the kinds of models take turns."""
    triples = [triple for triple in product(GIVEN, STYLES, STRUCTURES) if _differs(*triple)]
    return [Case(*triple, kind) for triple, kind in zip(triples, _kinds(triples), strict=True)]


def sampled_cases() -> list[Case]:
    """Every method in every style and in every structure, but not in all pairs of them."""
    pairs, structures = product(GIVEN, STYLES), cycle(STRUCTURES)
    triples = [(*pair, next(structures)) for pair in pairs]
    triples = [triple for triple in triples if _differs(*triple)]
    return [Case(*triple, kind) for triple, kind in zip(triples, _kinds(triples), strict=True)]


def _differs(given: Given, style: str, structure: str) -> bool:
    """Whether the recipe is not the same as one in another style or structure."""
    plain = not given.each and not given.number and style != "constants"
    listed = given.base != "task" and structure == "whole and the base listed"
    return not plain and not listed


def _kinds(triples: Sequence[tuple[Given, str, str]]) -> Iterator[str]:
    """mergekit cannot write Qwen2's config with another number of layers."""
    kinds = cycle(KINDS)
    for _, _, structure in triples:
        slices = STRUCTURES[structure]
        same_depth = slices is None or sum(end - first for first, end in slices) == LAYERS
        kind = next(kinds)
        yield kind if same_depth or kind != "qwen2" else next(kinds)
