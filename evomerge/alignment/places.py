"""What stands along an axis of a tensor: the words in which families are declared.

A group of symmetries moves the units of one place of the network: the residual stream, the neurons
of an MLP, the heads of an attention. It acts on every axis along which these units stand, in one
of a few roles.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Kind = Literal["residual", "neurons", "queries", "keys", "values", "outputs"]
# Whether the axis writes what the group moves (it takes the element itself), reads it (it takes the
# inverse transpose), has numbers of the units that only change places with them, or is carried
# along without telling anything of the units.
Role = Literal["writes", "reads", "follows", "carried"]


class Place(NamedTuple):
    """What stands along an axis, or along a part of it, and what is done there."""

    kind: Kind
    role: Role


# The residual stream: what adds to it, what reads it, gains and biases of norms.
WRITES = Place("residual", "writes")
READS = Place("residual", "reads")
GAINS = Place("residual", "follows")

# Neurons: behind the activation there may be a factor, before it there is none.
GATES = Place("neurons", "follows")
UPS = Place("neurons", "writes")
DOWNS = Place("neurons", "reads")

# Heads: a query reads what a key writes, the output matrix what values write.
QUERIES = Place("queries", "reads")
KEYS = Place("keys", "writes")
VALUES = Place("values", "writes")
OUTPUTS = Place("outputs", "reads")
# Gains of norms that have one number for each row of all heads.
QUERY_GAINS = Place("queries", "follows")
KEY_GAINS = Place("keys", "follows")


class Along(NamedTuple):
    """An axis.

    Attributes:
        places: what stands there, one after the other; nothing if no group moves it.
        in_turn: whether each head has all of the places, before the next head begins.
    """

    places: tuple[Place, ...] = ()
    in_turn: bool = False


FREE = Along()
