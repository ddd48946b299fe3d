"""Libraries may do as they like inside, and nobody notices."""

from __future__ import annotations

import logging
import random
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from threadpoolctl import threadpool_info

from evomerge.optimizers.quiet import Quiet, derived_seed


def disturb() -> None:
    with Quiet()():
        random.seed(9)
        np.random.seed(9)  # noqa: NPY002  the global one is what this is about
        torch.manual_seed(9)
        raise KeyError


def test_global_generators_are_put_back_even_after_an_error():
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002  the global one is what this is about
    torch.manual_seed(1)
    expected = random.random(), np.random.random(), torch.rand(1).item()  # noqa: NPY002
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    torch.manual_seed(1)
    with pytest.raises(KeyError):
        disturb()
    assert (random.random(), np.random.random(), torch.rand(1).item()) == expected  # noqa: NPY002


def test_there_is_one_thread_inside_and_as_many_as_before_outside():
    before, threads = threadpool_info(), torch.get_num_threads()
    with Quiet()():
        assert {library["num_threads"] for library in threadpool_info()} == {1}
        assert torch.get_num_threads() == 1
    assert threadpool_info() == before
    assert torch.get_num_threads() == threads


def test_warnings_and_logs_do_not_come_out(caplog):
    with Quiet()():
        warnings.warn("noise", stacklevel=1)
        logging.getLogger("optuna").error("noise")
    assert caplog.records == []
    logging.getLogger("ours").error("heard")
    assert len(caplog.records) == 1


@given(st.integers(), st.integers(0, 10**6), st.integers(0, 10**6))
def test_seeds_fit_every_library_and_follow_from_their_address(seed, one, other):
    assert 0 < derived_seed(seed, one) < 2**32
    assert derived_seed(seed, one) == derived_seed(seed, one)
    assert one == other or derived_seed(seed, one) != derived_seed(seed, other)
