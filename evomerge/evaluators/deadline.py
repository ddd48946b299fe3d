"""A time by which an evaluation must be over, looked at between batches."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from evomerge.errors import DeadlineExceeded


def deadline(seconds: float, where: str = "the evaluation") -> Callable[[], None]:
    """A tick that raises once ``seconds`` have passed since this call.

    Args:
        seconds: how long, above 0.
        where: what is late, for the message: the model and its evaluator.

    Raises:
        DeadlineExceeded: by the tick, on every call after that time.
    """
    end = monotonic() + seconds

    def tick() -> None:
        if monotonic() > end:
            raise DeadlineExceeded(
                f"{where}: not done within its deadline of {seconds:g} s; "
                "give it longer, or score fewer items"
            )

    return tick
