"""The symmetries of a family, as data: which group acts on which axis of which tensor, and how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

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
    """

    tensors: Mapping[str, tuple[Along, ...]]
    signed: bool = True
    scaled: bool = True
    rotary: float = 1.0
    normed: bool = False
