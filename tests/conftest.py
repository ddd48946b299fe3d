"""What every test stands on: no network, one thread a process, folders that go away."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, settings

# Set before a test imports a library that reads them.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"
# Tests share the cores between processes (pytest -n), not between threads.
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

# The machine is shared and the first call of a kernel compiles it: time is no failure.
settings.register_profile(
    "evomerge", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("evomerge")


def has_cuda() -> bool:
    import torch

    return torch.cuda.is_available()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skips what is marked ``gpu`` where there is none."""
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if marked and not has_cuda():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


@pytest.fixture(scope="session")
def session_folder() -> Iterator[Path]:
    """One folder for the models that a whole session of tests reads and none of them changes."""
    with TemporaryDirectory(prefix="evomerge-tests-") as folder:
        yield Path(folder)


@pytest.fixture(scope="session", autouse=True)
def cache_of_the_session(session_folder: Path) -> None:
    """What one session found out and kept is not what another one finds."""
    os.environ["EVOMERGE_CACHE"] = str(session_folder / "cache")


@pytest.fixture(scope="module")
def module_folder() -> Iterator[Path]:
    """One folder for what the tests of one file share."""
    with TemporaryDirectory(prefix="evomerge-tests-") as folder:
        yield Path(folder)
