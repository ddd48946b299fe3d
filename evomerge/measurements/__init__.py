"""What models do with texts.

- ``texts``: the items of a data file, as tokens of one model
- ``own_text``: text that is on every machine
- ``subject``: a model in memory, about to be measured
- ``stages``: a model run layer by layer

Measured once for each model, and kept on disk:

- ``grams``: Gram matrices of the inputs of linear layers
- ``squares``: squares of gradients, example by example: the diagonal Fisher information
- ``of_model``: measures a whole model, and writes what it finds
- ``kept``: finds measurements on disk, or has them made

Looked at while it is computed:

- ``probe``: tokens that several models are shown
- ``units``: what residual stream, neurons and heads do on them
"""
