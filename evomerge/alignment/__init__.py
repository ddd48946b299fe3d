"""Models moved along their symmetries: what they compute stays, where they compute it changes.

Families, as data:

- `places`, `symmetry`, `known`: which group acts on which axis of which tensor of a family
- `layout`, `declared`, `on_disk`: where that is in one model

Elements:

- `elements`, `rotary`: what is done to units, one after another, and undone
- `drawing`: random ones
- `moving`: an element acts on a tensor; `writing`: on a checkpoint; `live`: on a model in memory
- `checking`: the model computes what it did, or nothing is written

Aligning:

- `biases`: those that do nothing, or may stand elsewhere, in one place
- `assignment`: the best one-to-one assignment; `grams`: of what, and when none is needed
- `attention`, `gauges`, `likeness`: the heads of a layer, in spite of their gauges
- `matching`, `balancing`: the best move of one group, in models whose factors are balanced
- `weight_matching`: one group after the other, until none gains
- `activation_matching`: by what units do on the same inputs
- `canonical`: a normal form, the same for all copies of a model
- `together`: several models, each to the mean of the others
- `fit`: what it gains
"""
