"""Evaluators: a loaded model goes in, scores with their per-item results come out.

`base` says what an evaluator is, `scores` what it returns, and `loading` reads a model folder.
`lm_eval`, `perplexity`, `python`, `command` and `cost` are evaluators. `harness` is what `lm_eval`
needs of the package of that name, and is imported by its first use; `benchmarks` lists the tasks
that are commonly reported. `texts`, `user_code`, `returned` and `kv_cache` serve the others.
`deadline` and `memory` tell what ran out; `processes` runs programs, and `isolation` and `child`
are the two ends of an evaluation in a process of its own.
"""
