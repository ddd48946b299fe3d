"""Models moved along their symmetries: what they compute stays, where they compute it changes.

Families, as data:

- `places`, `symmetry`, `known`: which group acts on which axis of which tensor of a family
- `layout`, `declared`, `on_disk`: where that is in one model

Elements:

- `elements`, `actions`, `rotary`: what is done to units, one after another, and undone
- `rotations`, `folding`: the residual stream turned, in place of permuted
- `transports`: units mixed, which is no symmetry; `widening`: further units, of zeros
- `drawing`: random ones
- `moving`: an element acts on a tensor; `writing`: on a checkpoint; `live`: on a model in memory
- `checking`: the model computes what it did, or nothing is written

Aligning:

- `biases`: those that do nothing, or may stand elsewhere, in one place
- `assignment`: the best one-to-one assignment; `grams`: of what, and when none is needed
- `attention`, `gauges`, `likeness`: the heads of a layer, in spite of their gauges
- `matching`, `balancing`: the best move of one group, in models whose factors are balanced
- `weight_matching`: one group after the other, until none gains
- `procrustes`: the best rotation
- `transporting`: soft plans; `optimal_transport`, `sinkhorn`: aligners that may have them
- `activation_matching`: by what units do on the same inputs
- `canonical`: a normal form, the same for all copies of a model
- `together`: several models, each to the mean of the others
- `fit`: what it gains
"""
