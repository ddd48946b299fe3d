"""Layers of models in any order, and how a search writes them down."""

from evomerge.stacks.hops import Hop, Stack
from evomerge.stacks.slices import slices_of, stack_in, stack_of

__all__ = ["Hop", "Stack", "slices_of", "stack_in", "stack_of"]
