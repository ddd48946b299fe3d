"""config.yaml: what it can say, and everything it names, put together and checked.

- ``document``: the keys of the file
- ``reading``: from a file, or a run folder, to a document
- ``baselines``: what every search is compared with, and starts from
- ``templates``: the recipe with holes, read with a look at the models
- ``preparing``: models, template, evaluators and optimizer, checked before any weight is read
"""
