"""The layout of a model, from its config.json, the shapes of its tensors and its family."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from evomerge.alignment.known import MIXTURES, SYMMETRIES
from evomerge.alignment.layout import Group, HeadGroup, Layout, Span, Spans, UnitGroup
from evomerge.alignment.places import Along, Place
from evomerge.alignment.symmetry import Symmetry
from evomerge.errors import AlignmentError, CheckpointError
from evomerge.families import Family, family_of, layers_in

Config = Mapping[str, object]
Shapes = Mapping[str, tuple[int, ...]]

HIDDEN = ("hidden_size", "n_embd")
NEURONS = ("intermediate_size", "n_inner")
HEADS = ("num_attention_heads", "n_head")

_PERMUTED = "its residual stream has no rotations: take an aligner that permutes it"

# What every layer has, by the kinds of places, and the groups in which it moves.
IN_A_LAYER = {
    "neurons": "neurons",
    "queries": "heads",
    "keys": "heads",
    "values": "heads",
    "outputs": "heads",
}


def layout_of(config: Config, shapes: Shapes, where: str) -> Layout:
    """Where the units of each group stand in a model.

    Args:
        config: the content of config.json.
        shapes: of all tensors, by their names.
        where: the model, for messages.

    Raises:
        AlignmentError: the family has no declaration, or a tensor is not in it.
        CheckpointError: config.json does not say enough, or speaks of layers that are not there.
    """
    family = family_of(config, shapes, where)
    symmetry = _symmetry(family, where)
    heads = _heads(config, symmetry, where)
    layers = layers_in(config, family, where)
    stream = UnitGroup(
        _number(config, HIDDEN, where), signed=symmetry.signed, widens=symmetry.widens
    )
    groups: dict[str, Group] = {"residual": stream}
    neurons: dict[str, int] = {}
    tensors: dict[str, Spans] = {}
    names = {family.bare(name): name for name in shapes}
    for name, shape in shapes.items():
        if family.is_buffer(name):
            continue
        declared = symmetry.tensors.get(family.unnumbered(name), ())
        if len(declared) != len(shape):
            raise AlignmentError(
                f"{where}: {name}: is not among the tensors whose symmetries are known for "
                f"{family.name}; such a model merges, but is not aligned"
            )
        norm = names.get(_norm_of(name, family, symmetry) or "")
        laid = _Laid(f"{where}: {name}", family.layer_of(name), heads, neurons, norm)
        pairs = zip(declared, shape, strict=True)
        tensors[name] = tuple(laid.spans(along, size) for along, size in pairs)
    _check_layers(tensors, layers, f"{where}: config.json says '{family.layer_count}': {layers}")
    for layer in range(layers):
        name = f"neurons.{layer}"
        groups[f"heads.{layer}"] = heads
        groups[name] = UnitGroup(neurons[name], symmetry.scaled, symmetry.scaled, widens=True)
    return Layout(groups, tensors, _unturned(family, symmetry, tensors, where), symmetry.base)


def _norm_of(name: str, family: Family, symmetry: Symmetry) -> str | None:
    """The bare name of the gains behind which a tensor reads, or which it is."""
    generic, layer = family.unnumbered(name), family.layer_of(name)
    behind = (norm for part, norm in symmetry.norms.items() if generic.startswith(part))
    norm = generic if generic in symmetry.norms.values() else next(behind, None)
    return norm if norm is None or layer is None else family.numbered(norm, layer)


def _unturned(family: Family, symmetry: Symmetry, tensors: Mapping[str, Spans], where: str) -> str:
    """Why the residual stream of a model cannot be rotated."""
    if not symmetry.signed:
        return f"{where}: is {family.name}, whose norms subtract a mean; {_PERMUTED}"
    if not symmetry.norms:
        return f"{where}: is {family.name}, which has norms behind what it writes; {_PERMUTED}"
    if not any(family.bare(name) == family.head for name in tensors):
        return f"{where}: its head is tied to its embedding; {_PERMUTED}"
    return ""


def _check_layers(tensors: Mapping[str, Spans], layers: int, stated: str) -> None:
    spans = (span for axes in tensors.values() for axis in axes for span in axis)
    present = {(span.group, span.place.kind) for span in spans}
    for layer in range(layers):
        for kind, group in IN_A_LAYER.items():
            if (f"{group}.{layer}", kind) not in present:
                raise CheckpointError(
                    f"{stated}, but there are no {kind} of layer {layer}; download the model again"
                )


def _symmetry(family: Family, where: str) -> Symmetry:
    if family.name in MIXTURES:
        raise AlignmentError(
            f"{where}: {family.name} is a mixture of experts; such models merge, "
            "but do not align yet"
        )
    if family.name not in SYMMETRIES:
        raise AlignmentError(
            f"{where}: the symmetries of {family.name} are not declared; "
            f"known: {', '.join(sorted(SYMMETRIES))}"
        )
    return SYMMETRIES[family.name]


def _heads(config: Config, symmetry: Symmetry, where: str) -> HeadGroup:
    heads = _number(config, HEADS, where)
    groups = config.get("num_key_value_heads") or heads
    width = config.get("head_dim") or _number(config, HIDDEN, where) // heads
    if not isinstance(groups, int) or not isinstance(width, int):
        raise AlignmentError(f"{where}: config.json: its numbers of heads are no numbers")
    rotary = int(width * _share(config, symmetry)) // 2 * 2
    return HeadGroup(heads, groups, width, rotary, symmetry.normed)


def _share(config: Config, symmetry: Symmetry) -> float:
    """How much of a head is turned by rotary embeddings, in [0, 1]."""
    parameters = config.get("rope_parameters")
    stated = parameters if isinstance(parameters, Mapping) else {}
    for found in (
        stated.get("partial_rotary_factor"),
        config.get("partial_rotary_factor"),
        config.get("rotary_pct"),
    ):
        if isinstance(found, int | float) and symmetry.rotary:
            return float(found)
    return symmetry.rotary


def _number(config: Config, keys: tuple[str, ...], where: str) -> int:
    found = next((config[key] for key in keys if key in config), None)
    if not isinstance(found, int):
        raise AlignmentError(f"{where}: config.json has no number under '{keys[0]}'")
    return found


@dataclass(frozen=True)
class _Laid:
    """A tensor whose axes are being laid out; it tells ``neurons`` their numbers, by layer."""

    where: str
    layer: int | None
    heads: HeadGroup
    neurons: dict[str, int]
    norm: str | None

    def spans(self, along: Along, size: int) -> tuple[Span, ...]:
        """What stands along an axis of this size."""
        places = along.places
        known = [self._size(place) for place in places]
        unknown = known.count(None)
        rest = (size - sum(each or 0 for each in known)) // (unknown or 1)
        sizes = [rest if each is None else each for each in known]
        if places and sum(sizes) != size:
            raise AlignmentError(
                f"{self.where}: an axis has {size} numbers, config.json speaks of {sum(sizes)}; "
                "its weights and its config.json do not belong together"
            )
        if along.in_turn:
            every = np.arange(size).reshape(self.heads.heads, len(places), -1)
            wheres = [every[:, at].reshape(-1) for at in range(len(places))]
        else:
            starts = np.cumsum([0, *sizes])
            wheres = [np.arange(a, a + n) for a, n in zip(starts, sizes, strict=False)]
        return tuple(
            self._span(place, len(where), None if len(places) == 1 else where)
            for place, where in zip(places, wheres, strict=True)
        )

    def _size(self, place: Place) -> int | None:
        heads = self.heads
        if place.kind in {"queries", "outputs"}:
            return heads.heads * heads.width
        return heads.groups * heads.width if place.kind in {"keys", "values"} else None

    def _span(self, place: Place, size: int, where: np.ndarray | None) -> Span:
        if place.kind == "residual":
            return Span("residual", place, where, self.norm)
        if place.kind == "neurons":
            name = f"neurons.{self.layer}"
            if self.neurons.setdefault(name, size) != size:
                raise AlignmentError(
                    f"{self.where}: has {size} neurons, other tensors of its layer "
                    f"{self.neurons[name]}; download the model again"
                )
            return Span(name, place, where)
        return Span(f"heads.{self.layer}", place, where)
