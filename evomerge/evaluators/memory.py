"""Running out of memory, told apart from what else goes wrong.

Whether a model fits beside the others is a fact about that moment, not about the model.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from evomerge.errors import EvaluationError, OutOfMemory

# torch raises RuntimeErrors of its own, on every kind of device: CUDA's and MPS's allocator, the
# CPU's, and cuBLAS. They are known by their words, which saves importing it.
SIGNS = (
    "out of memory",
    "can't allocate memory",
    "not enough memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
)


@contextmanager
def memory_watched(where: str) -> Iterator[None]:
    """Turns the exhaustion of memory inside, even where it was the cause only, into one error.

    Raises:
        OutOfMemory: a library or the user's code could not have the memory it asked for.
    """
    try:
        yield
    except (MemoryError, RuntimeError, EvaluationError) as error:
        found = next((one for one in _causes(error) if _is_exhaustion(one)), None)
        if found is None:
            raise
        reason = str(found).split("\n", maxsplit=1)[0] or type(found).__name__
        raise OutOfMemory(
            f"{where}: memory ran out while it was scored, {reason}; "
            "lower the evaluator's batch_size, or free memory"
        ) from error


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__


def _is_exhaustion(error: BaseException) -> bool:
    if isinstance(error, MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in SIGNS)
