"""Evaluators: a loaded model goes in, scores with their per-item results come out.

`base` says what an evaluator is, `scores` what it returns, and `loading` reads a model folder.
`lm_eval`, `perplexity` and `python` are evaluators; `texts` and `user_code` serve the last two.
`harness` is what `lm_eval` needs of the package of that name, and is imported by its first use.
"""
