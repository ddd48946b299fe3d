"""Facts about model families, as data: where the layers are, and what config.json says of them."""

from evomerge.families.family import BUFFERS, Family, Part, Residual
from evomerge.families.finding import (
    LAYER_COUNTS,
    PER_LAYER_LISTS,
    architecture_of,
    family_of,
    layers_in,
)
from evomerge.families.known import FAMILIES

__all__ = [
    "BUFFERS",
    "FAMILIES",
    "LAYER_COUNTS",
    "PER_LAYER_LISTS",
    "Family",
    "Part",
    "Residual",
    "architecture_of",
    "family_of",
    "layers_in",
]
