"""Networks that may be averaged as they are: layers of which a part is never trained.

masks       which weights are trained, and what stands in place of the others
layer       LinearMerger, a linear layer with such a part
converting  networks whose linear layers become LinearMergers, and back
training    trains a network on examples in memory
averaging   the mean of networks
curve       what happens on the line between two of them
federated   one round of federated averaging
units       the hidden units of a plain network
aligning    what all ways of aligning plain networks share
anchor      networks that were trained without masks, brought to one anchor
together    several of them, brought to each other
"""

from __future__ import annotations

from evomerge.linear_merger.anchor import align_by_activations, align_to_anchor
from evomerge.linear_merger.averaging import average
from evomerge.linear_merger.converting import with_masks, without_masks
from evomerge.linear_merger.curve import Curve, barrier, interpolation_curve
from evomerge.linear_merger.federated import Round, federated_round
from evomerge.linear_merger.layer import LinearMerger
from evomerge.linear_merger.masks import Asymmetric, Lower, Rows, Upper, Zeros
from evomerge.linear_merger.together import align_together
from evomerge.linear_merger.training import Examples, Training, accuracy, mean_loss, train

__all__ = [
    "Asymmetric",
    "Curve",
    "Examples",
    "LinearMerger",
    "Lower",
    "Round",
    "Rows",
    "Training",
    "Upper",
    "Zeros",
    "accuracy",
    "align_by_activations",
    "align_to_anchor",
    "align_together",
    "average",
    "barrier",
    "federated_round",
    "interpolation_curve",
    "mean_loss",
    "train",
    "with_masks",
    "without_masks",
]
