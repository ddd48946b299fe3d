"""The three global random generators that tasks and models draw from."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from lm_eval.defaults import DEFAULT_OTHER_SEED, DEFAULT_RANDOM_SEED
from torch import Tensor


@dataclass(frozen=True)
class Generators:
    """Their states: Python's, NumPy's, torch's, and torch's on each GPU in use."""

    python: tuple[object, ...]
    numpy: dict[str, Any]
    torch: Tensor
    cuda: tuple[Tensor, ...]

    @classmethod
    def now(cls) -> Generators:
        """The states at this moment."""
        cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else ()  # type: ignore[no-untyped-call]
        legacy = np.random.get_state(legacy=False)  # noqa: NPY002  the one that tasks draw from
        return cls(random.getstate(), dict(legacy), torch.get_rng_state(), tuple(cuda))

    def restore(self) -> None:
        """Puts them back."""
        random.setstate(self.python)
        np.random.set_state(self.numpy)  # noqa: NPY002  the one that tasks draw from
        torch.set_rng_state(self.torch)
        if self.cuda:
            torch.cuda.set_rng_state_all(self.cuda)


def seed() -> None:
    """Seeds them as `lm_eval.simple_evaluate` does."""
    random.seed(DEFAULT_RANDOM_SEED)
    np.random.seed(DEFAULT_OTHER_SEED)  # noqa: NPY002  the one that tasks draw from
    torch.manual_seed(DEFAULT_OTHER_SEED)


@contextmanager
def restored() -> Iterator[None]:
    """Whatever is drawn inside, the caller's generators come out as they went in."""
    before = Generators.now()
    try:
        yield
    finally:
        before.restore()
