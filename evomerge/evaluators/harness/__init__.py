"""lm-eval's tasks, built once and scored many times. Needs the lm-eval package.

`tasks` builds the requests, `language_model` answers them, `results` turns answers into measures,
and `run` does the three in order. Only `options` can be imported without the package.
"""
