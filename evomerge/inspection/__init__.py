"""What is in a model, or in a recipe, and whether it can be merged; and what its layers do.

For the first, configs and the headers of weight files are read, never weights, so it takes moments
whatever the size of the models.

- ``contents``: a model's tensors, counted by kind
- ``model``: a model, with its adapter if it has one
- ``adapters``: a recipe of adapters: what is merged, or why it cannot be
- ``recipe``: a recipe: its models, what it will make of them, or why it cannot be merged

Weights are read by

- ``task_vectors``: how far models have moved from their base, and how much in the same direction

For the second, models run. These modules load torch, and are imported by who runs models:

- ``parts``: the layers of a model in memory, and their attention and feed-forward parts
- ``lesions``: what a model scores without one of them
- ``streams``: the residual stream before and after each layer
- ``similarity``: the cosines between the streams of two models, or of one
- ``seams``: the cosines where a layer of a stack reads another stream than in its own model

Two models side by side, by what their units do on one text:

- ``convergence``: place by place of the network
- ``correlation``, ``partners``, ``clusters``: how alike units are, and which go together
- ``lasso``: maps from few units to each
- ``line``: what the averages of two models score

Pictures are drawn by

- ``grid``: numbers as coloured cells
- ``curves``: numbers as lines
- ``stack_picture``: the layers of a stack
"""

from __future__ import annotations

from evomerge.inspection.contents import Contents, Group
from evomerge.inspection.model import AdapterFacts, ModelFacts, Unreadable, inspect_model
from evomerge.inspection.recipe import (
    Applied,
    OutputFacts,
    RecipeFacts,
    SliceFacts,
    inspect_recipe,
)

__all__ = [
    "AdapterFacts",
    "Applied",
    "Contents",
    "Group",
    "ModelFacts",
    "OutputFacts",
    "RecipeFacts",
    "SliceFacts",
    "Unreadable",
    "inspect_model",
    "inspect_recipe",
]
