"""What models do with texts, measured once for each model and kept on disk.

- ``texts``: the items of a data file, as tokens of one model
- ``grams``: Gram matrices of the inputs of linear layers
- ``squares``: squares of gradients, example by example: the diagonal Fisher information
- ``stages``: a model run layer by layer
- ``of_model``: measures a whole model, and writes what it finds
- ``kept``: finds measurements on disk, or has them made
"""
