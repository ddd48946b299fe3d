"""Calls into libraries that leave no trace: one thread, no warnings, global random state kept.

One thread, because the last bits of linear algebra depend on how many there are, and with them
every later proposal.
"""

from __future__ import annotations

import logging
import random
import sys
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import numpy as np

# Negative seeds count from here: entropy has no sign.
SEEDS = 1 << 64


def derived_seed(seed: int, *address: int) -> int:
    """A seed in [1, 2³²): a function of ``seed`` and an address, such as a trial's number."""
    entropy = [seed % SEEDS, *address]
    return max(1, int(np.random.SeedSequence(entropy).generate_state(1)[0]))


class Quiet:
    """Makes quiet contexts. One for each optimizer: it knows the libraries that are loaded."""

    def __init__(self) -> None:
        self._threads: object = None

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Within it libraries may do as they like."""
        with warnings.catch_warnings(), self._one_thread(), kept_random_state(), silence():
            warnings.simplefilter("ignore")
            yield

    def _one_thread(self) -> AbstractContextManager[object]:
        from threadpoolctl import ThreadpoolController

        if self._threads is None:  # looking for libraries takes milliseconds
            self._threads = ThreadpoolController()
        return self._threads.limit(limits=1)  # type: ignore[attr-defined]


@contextmanager
def silence() -> Iterator[None]:
    """Nothing is logged."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


@contextmanager
def kept_random_state() -> Iterator[None]:
    """Puts back the global generators of Python, NumPy and torch, and torch's number of threads."""
    torch = sys.modules.get("torch")
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002  theirs, not ours
    with _torch_kept(torch) if torch else nullcontext():
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)  # noqa: NPY002


@contextmanager
def _torch_kept(torch: object) -> Iterator[None]:
    state, threads = torch.get_rng_state(), torch.get_num_threads()  # type: ignore[attr-defined]
    torch.set_num_threads(1)  # type: ignore[attr-defined]
    try:
        yield
    finally:
        torch.set_num_threads(threads)  # type: ignore[attr-defined]
        torch.set_rng_state(state)  # type: ignore[attr-defined]
