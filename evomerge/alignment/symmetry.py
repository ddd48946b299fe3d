"""The symmetries of a family, as data: which group acts on which axis of which tensor, and how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from evomerge.alignment.places import Along


@dataclass(frozen=True)
class Symmetry:
    """What may be moved in the models of one family without changing what they compute.

    Attributes:
        tensors: for each tensor that a model may have, what stands along its axes. Names are bare,
            with ``{}`` for the layer.
        signed: whether units of the residual stream may change their sign: its norms subtract no
            mean.
        scaled: whether neurons may have a factor: something multiplies the activation.
        rotary: the share of a head that rotary embeddings turn, in [0, 1], unless config.json says
            otherwise. Its planes are pairs of half the turned width apart.
        normed: whether queries and keys pass a norm of their own, which leaves a plane its sign
            only.
        norms: for each reader of the residual stream, by what its name begins with, the tensor
            with the gains of the norm before it, if it is read behind norms that subtract no mean
            and nothing else has gains. Then it may be rotated.
        base: what is stored of such a gain is the gain less this.
        widens: whether the residual stream may be wider: where nothing but the norms before its
            readers depends on its width or on their epsilon, and those subtract no mean.
    """

    tensors: Mapping[str, tuple[Along, ...]]
    signed: bool = True
    scaled: bool = True
    rotary: float = 1.0
    normed: bool = False
    norms: Mapping[str, str] = field(default_factory=dict)
    base: float = 0.0
    widens: bool = False
