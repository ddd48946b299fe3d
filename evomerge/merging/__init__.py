"""The merge core: a recipe becomes tensors, in a stream, and a folder.

- ``models``: the models of a recipe, opened and compared
- ``parameters``: what every parameter is for one output tensor
- ``layout``: which tensors the output has, and what each is made of
- ``plan``: all of that, decided before any weight is read
- ``blocks``: the rows of one tensor in all models, in blocks that fit a cache
- ``stream``: runs a plan: survey, settle, combine, on threads or a device
- ``folder``: writes the result as a model that transformers loads
"""
