"""Benchmarks whose test sets are commonly reported.

A model chosen by its score on one of these has been fitted to it: the score then says nothing
about the model, and reporting it misleads.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

# What their tasks' names begin with in lm-eval: those that mergekit-evolve guards, and those of
# the leaderboards since.
FAMILIES = (
    "agieval",
    "ai2_arc",
    "aime",
    "arc",
    "bbh",
    "bigbench",
    "boolq",
    "commonsense_qa",
    "gpqa",
    "gsm8k",
    "gsm_plus",
    "hellaswag",
    "hendrycks",
    "humaneval",
    "ifeval",
    "lambada",
    "leaderboard",
    "mbpp",
    "minerva_math",
    "mmlu",
    "openbookqa",
    "piqa",
    "tinyBenchmarks",
    "truthfulqa",
    "winogrande",
)

# `arc_easy` and `mmlu_*`, but no `archery`.
REPORTED = re.compile(rf"(?:tiny)?(?:{'|'.join(FAMILIES)})(?![a-z])", re.IGNORECASE)

# Training sets are there to be fitted to.
TRAINING = ("_train", "_training")


def reported(names: Iterable[str]) -> list[str]:
    """Those of ``names``, of tasks or groups, that are commonly reported; sorted, each once."""
    return sorted({name for name in names if REPORTED.match(name) and not name.endswith(TRAINING)})
