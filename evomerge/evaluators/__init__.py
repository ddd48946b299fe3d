"""Evaluators: a loaded model goes in, scores with their per-item results come out.

`base` holds the nouns and the registry, `loading` reads a model folder. Each other module is an
evaluator; `harness` is what `lm_eval` needs of the package of that name, imported by its first use.
"""
