"""Optimizers: they propose points, and learn from what came of them.

`base` says what an optimizer is. `cma`, `catcma`, `optuna` and `greedy_soup` are optimizers;
`auto` picks one.
"""
